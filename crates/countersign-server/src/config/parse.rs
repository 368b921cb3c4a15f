//! Parsers for values as people write them.
//!
//! Their errors are phrases that follow the setting's name, for example `must be true or false`.
//! [`Sources::parse`](crate::config::Sources::parse) adds the name and the cure.

use std::ops::RangeInclusive;
use std::time::Duration;

use humantime::format_duration;

/// Parses a duration such as `15m`, `30d` or `1h30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "is not a valid duration".to_owned())
}

/// Returns a parser for durations in `range`.
///
/// Every duration setting has bounds. Beyond them timers would overflow, and so would the integers
/// in which other programs read the times.
pub(super) fn duration_in(
    range: RangeInclusive<Duration>,
) -> impl Fn(&str) -> Result<Duration, String> {
    move |text| {
        let (least, most) = (*range.start(), *range.end());
        match duration(text)? {
            within if range.contains(&within) => Ok(within),
            _ if least.is_zero() => Err(format!("must be at most {}", format_duration(most))),
            _ => Err(format!(
                "must be between {} and {}",
                format_duration(least),
                format_duration(most)
            )),
        }
    }
}

/// Returns a parser for whole numbers in `range`.
pub(super) fn number<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    move |text| {
        let number = text
            .parse::<T>()
            .ok()
            .filter(|number| range.contains(number));
        number.ok_or_else(|| {
            format!(
                "must be a whole number from {} to {}",
                range.start(),
                range.end()
            )
        })
    }
}

/// Parses a size in bytes such as `64KiB`, `1MiB` or `65536`.
pub(super) fn bytes(text: &str) -> Result<usize, String> {
    let units = [("KiB", 1024_usize), ("MiB", 1024 * 1024), ("B", 1), ("", 1)];
    let parsed = units.iter().find_map(|(unit, factor)| {
        let number = text
            .trim()
            .strip_suffix(unit)?
            .trim()
            .parse::<usize>()
            .ok()?;
        number.checked_mul(*factor)
    });
    parsed.ok_or_else(|| "is not a valid size".to_owned())
}

/// Parses `true` or `false`.
pub(super) fn truth(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// Accepts any text.
#[expect(
    clippy::unnecessary_wraps,
    reason = "it stands where other parsers stand"
)]
pub(super) fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

/// Returns a parser for one of a few words, each of which stands for a value.
pub(super) fn one_of<T: Copy>(
    choices: &'static [(&'static str, T)],
) -> impl Fn(&str) -> Result<T, String> {
    move |text| {
        let choice = choices
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, value)| *value);
        choice.ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            format!("must be one of {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        assert_eq!(duration("15m"), Ok(Duration::from_mins(15)));
        assert!(duration("soon").is_err());
        let seconds = duration_in(Duration::from_secs(1)..=Duration::from_hours(1));
        assert_eq!(seconds("1h"), Ok(Duration::from_hours(1)));
        for bad in ["0s", "999ms", "1h 1ms", "25d", "18446744073709551615s"] {
            assert_eq!(
                seconds(bad),
                Err("must be between 1s and 1h".to_owned()),
                "{bad}"
            );
        }
        assert_eq!(
            duration_in(Duration::ZERO..=Duration::from_secs(1))("2s"),
            Err("must be at most 1s".to_owned())
        );
        assert_eq!(bytes("64KiB"), Ok(65_536));
        assert_eq!(bytes("12"), Ok(12));
        assert!(bytes("many").is_err());
        assert!(bytes("99999999999999999999MiB").is_err());
        assert_eq!(number(1_u16..=10)("7"), Ok(7));
        assert!(number(1_u16..=10)("11").is_err());
        assert!(truth("yes").is_err());
    }
}
