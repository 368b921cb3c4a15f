//! Readable descriptions of TLS errors, each with its cure.
//!
//! The drivers wrap the error of rustls in errors of their own. [`told`] finds it, and names the
//! parameter of the store's URL that helps.

use std::error::Error;
use std::io;

use rustls::{CertificateError, Error as Tls};

/// The URL parameters that a store offers for TLS, as the cures name them.
pub(crate) struct Words {
    /// The parameter that switches off the check of the certificate. `None` if the store has none.
    pub(crate) unchecked: Option<&'static str>,
    /// The parameter that names the certificate file of an authority.
    pub(crate) authority: &'static str,
    /// The parameter that accepts a certificate of another host. `None` if the store has none.
    pub(crate) any_host: Option<&'static str>,
}

/// Returns the fault and its cure, or `None` if the error doesn't come from TLS.
pub(crate) fn told(error: &(dyn Error + 'static), words: &Words) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(fault) = error.downcast_ref::<Tls>() {
            return Some(fault_of(fault, words));
        }

        let inside = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = inside
            .map(|inside| inside as &(dyn Error + 'static))
            .or_else(|| error.source());
    }
    None
}

/// Returns the fault that an error of rustls shows, with its cure.
fn fault_of(
    fault: &Tls,
    &Words {
        unchecked,
        authority,
        any_host,
    }: &Words,
) -> String {
    let Tls::InvalidCertificate(fault) = fault else {
        return format!("TLS failed: {fault}");
    };

    match fault {
        CertificateError::UnknownIssuer => {
            format!(
                "the server's certificate is from an unknown authority: provide the \
                 authority's certificate with {authority}"
            )
        }
        CertificateError::BadSignature => format!(
            "the server's certificate is not signed by the trusted authority of that name: \
             provide the right authority's certificate with {authority}"
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired: renew it".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet: check both clocks".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            let or_say = or_say(any_host);
            format!(
                "the server's certificate is for another host: use a host name from the \
                 certificate{or_say}"
            )
        }
        other if other.to_string().contains("UnsupportedCertVersion") => format!(
            "the server's certificate has X.509 version 1, which is not supported: issue one \
             of version 3{}",
            or_say(unchecked)
        ),
        other if is_authority(other) => format!(
            "the server's certificate is a CA certificate (CA:TRUE): issue one that is not{}",
            or_say(unchecked)
        ),
        other => format!("the server's certificate can't be used: {other}"),
    }
}

/// Returns the end of a sentence that names another parameter, or nothing if there is none.
fn or_say(words: Option<&str>) -> String {
    words
        .map(|words| format!(", or set {words}"))
        .unwrap_or_default()
}

/// Returns `true` if a certificate was refused because it is that of an authority.
pub(crate) fn is_authority(fault: &CertificateError) -> bool {
    fault.to_string().contains("CaUsedAsEndEntity")
}
