//! Text that nothing prints.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// Text that is secret, or may have a secret in it, such as a password or a URL. It is not printed, and its memory
/// is overwritten when it is dropped.
///
/// ```
/// use region_config::Secret;
///
/// let password = Secret::from("hunter2");
/// assert!(!format!("{password:?}").contains("hunter2"));
/// assert_eq!(password.expose(), "hunter2");
/// ```
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Returns the text.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(SecretString::from(text))
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(SecretString::from(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Any other type is refused here, for serde's own message would repeat the value.
        deserializer.deserialize_any(SecretVisitor)
    }
}

struct SecretVisitor;

impl SecretVisitor {
    fn refuse<E: Error>(&self) -> Result<Secret, E> {
        Err(E::custom("it is not text: write it in quotes"))
    }
}

impl Visitor<'_> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret::from(text))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Secret, E> {
        Ok(Secret::from(text))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Secret, E> {
        self.refuse()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Secret, E> {
        self.refuse()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Secret, E> {
        self.refuse()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Secret, E> {
        self.refuse()
    }
}
