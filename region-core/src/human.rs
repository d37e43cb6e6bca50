//! Readable forms of settings, for the configuration of stores and applications.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserializer, Error, Unexpected, Visitor};

/// The word for a limit that there is not.
const UNLIMITED: &str = "unlimited";

/// Reads a duration: text such as `"5s"`, `"250 ms"` or `"1h 30m"`, or a number of milliseconds. It is for
/// serde's attribute `deserialize_with`, and needs a format that describes itself, such as TOML, JSON or YAML.
///
/// ```
/// use std::time::Duration;
///
/// #[derive(serde::Deserialize)]
/// struct Settings {
///     #[serde(deserialize_with = "region_core::human::duration")]
///     pause: Duration,
/// }
///
/// for text in [r#"{"pause": "1.5s"}"#, r#"{"pause": "1500 ms"}"#, r#"{"pause": 1500}"#] {
///     let settings: Settings = serde_json::from_str(text).unwrap();
///     assert_eq!(settings.pause, Duration::from_millis(1500));
/// }
/// ```
///
/// # Errors
/// When it is neither.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(DurationVisitor)
}

/// Reads a duration, or the word `"unlimited"`, which is `None`.
pub(crate) fn limit<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    deserializer.deserialize_any(LimitVisitor)
}

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as \"5s\" or \"250 ms\", or a number of milliseconds")
    }

    fn visit_u64<E: Error>(self, millis: u64) -> Result<Duration, E> {
        Ok(Duration::from_millis(millis))
    }

    fn visit_i64<E: Error>(self, millis: i64) -> Result<Duration, E> {
        match u64::try_from(millis) {
            Ok(millis) => Ok(Duration::from_millis(millis)),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(millis), &self)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
        let text = text.trim();
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(millis) = text.parse().ok().filter(|_| is_number) {
            return Ok(Duration::from_millis(millis));
        }
        humantime::parse_duration(text).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}

struct LimitVisitor;

impl Visitor<'_> for LimitVisitor {
    type Value = Option<Duration>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        DurationVisitor.expecting(f)?;
        write!(f, ", or \"{UNLIMITED}\"")
    }

    fn visit_u64<E: Error>(self, millis: u64) -> Result<Self::Value, E> {
        DurationVisitor.visit_u64(millis).map(Some)
    }

    fn visit_i64<E: Error>(self, millis: i64) -> Result<Self::Value, E> {
        match u64::try_from(millis) {
            Ok(millis) => self.visit_u64(millis),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(millis), &self)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        if text.trim() == UNLIMITED {
            return Ok(None);
        }
        match DurationVisitor.visit_str::<E>(text) {
            Ok(duration) => Ok(Some(duration)),
            Err(_) => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error as ValueError, I64Deserializer, StrDeserializer};

    use super::*;

    fn of_text(text: &str) -> Result<Duration, ValueError> {
        let deserializer: StrDeserializer<'_, ValueError> = text.into_deserializer();
        duration(deserializer)
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in [
            ("5s", 5000),
            ("250 ms", 250),
            (" 250ms ", 250),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("2d", 172_800_000),
            ("1.5s", 1500),
            ("250", 250),
            ("0", 0),
        ] {
            assert_eq!(of_text(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for text in ["", "s", "5 s ms", "-1s", "soon", "99999999999999999999", "1,5s"] {
            let error = of_text(text).unwrap_err().to_string();
            assert!(error.contains("a duration such as \"5s\""), "{text}: {error}");
        }
    }

    #[test]
    fn numbers_are_milliseconds() {
        let read = |millis: i64| {
            let deserializer: I64Deserializer<ValueError> = millis.into_deserializer();
            duration(deserializer)
        };
        assert_eq!(read(250).unwrap(), Duration::from_millis(250));
        assert!(read(-1).unwrap_err().to_string().contains("`-1`, expected a duration"));
    }

    #[test]
    fn a_limit_may_be_left_out_by_a_word() {
        let read = |text: &'static str| {
            let deserializer: StrDeserializer<'_, ValueError> = text.into_deserializer();
            limit(deserializer)
        };
        assert_eq!(read("unlimited").unwrap(), None);
        assert_eq!(read("5s").unwrap(), Some(Duration::from_secs(5)));
        assert!(read("none").unwrap_err().to_string().contains("or \"unlimited\""));
    }
}
