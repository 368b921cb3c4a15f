//! The state of MySQL and MariaDB as their errors show it.

use mysql_async::{DriverError, Error, IoError};

use crate::error::Symptom;

/// Returns the symptom that an error shows, if any.
pub(super) fn of(error: &Error) -> Option<Symptom> {
    match error {
        Error::Io(IoError::Io(error)) => Symptom::of_io(error),
        Error::Driver(DriverError::ConnectionClosed) => Some(Symptom::Starting),
        Error::Server(error) => of_code(error.code),
        _ => None,
    }
}

/// Returns the symptom for the code of a server error.
const fn of_code(code: u16) -> Option<Symptom> {
    match code {
        1045 | 1698 => Some(Symptom::Credentials),
        1044 | 1142 | 1143 | 1227 | 1370 => Some(Symptom::Rights),
        1049 => Some(Symptom::NoDatabase),
        1054 | 1146 => Some(Symptom::NoTable),
        1040 | 1203 | 1226 => Some(Symptom::Busy),
        1053 | 1079 | 3169 => Some(Symptom::Starting),
        1290 | 1836 | 3100 => Some(Symptom::ReadOnly),
        1021 | 1037 | 1038 | 1041 | 1114 => Some(Symptom::Full),
        _ => None,
    }
}
