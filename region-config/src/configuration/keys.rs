//! Reading the keys of encryption. No message shows a key, nor what may be one that was misplaced.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use data_encoding::{
    BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, Encoding, HEXLOWER_PERMISSIVE,
};
use region_core::EncryptionKey;
use zeroize::Zeroizing;

use super::settings::KeySource;

/// The bytes of a key.
const KEY_BYTES: usize = 32;

/// The most that is read of a file: a key as text, and the space around it.
const MAX_FILE_BYTES: usize = 256;

/// The longest name of a variable that a message shows. A key as text is longer.
const MAX_SHOWN: usize = 40;

const FORM: &str = "it is no key: write 32 bytes as 64 hexadecimal digits, or in Base64";

/// The forms of a key as text.
const FORMS: [&Encoding; 5] =
    [&HEXLOWER_PERMISSIVE, &BASE64, &BASE64_NOPAD, &BASE64URL, &BASE64URL_NOPAD];

/// The key at `source`, or why there is none.
pub(super) fn read(source: &KeySource) -> Result<EncryptionKey, String> {
    match source {
        KeySource::Value(text) => of_text(text.expose().as_bytes()),
        KeySource::Env(name) => {
            let shown = shown(name);
            match std::env::var(name).map(Zeroizing::new) {
                Ok(text) => of_text(text.as_bytes()),
                Err(std::env::VarError::NotPresent) => Err(format!("{shown} is not set")),
                Err(std::env::VarError::NotUnicode(_)) => Err(format!("{shown} is not UTF-8")),
            }
        }
        KeySource::File(path) => of_file(path),
    }
}

/// A name that nobody takes for a key, as messages show it.
fn shown(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    match name.len() <= MAX_SHOWN && name.bytes().all(is_plain) {
        true => format!("the environment variable {name}"),
        false => "its environment variable".to_owned(),
    }
}

fn of_file(path: &Path) -> Result<EncryptionKey, String> {
    let cannot = |error: std::io::Error| format!("its file cannot be read: {}", error.kind());
    // So large that reading never moves it, which would leave a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * MAX_FILE_BYTES));
    let file = File::open(path).map_err(cannot)?;
    file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(cannot)?;
    match EncryptionKey::try_from(bytes.as_slice()) {
        Ok(key) => Ok(key),
        Err(_) if bytes.len() <= MAX_FILE_BYTES => of_text(&bytes),
        Err(_) => Err("its file is too large for a key".to_owned()),
    }
}

fn of_text(text: &[u8]) -> Result<EncryptionKey, String> {
    let text = text.trim_ascii();
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    // Decoders want room for the longest that text of this length may be.
    let mut room = Zeroizing::new([0; KEY_BYTES + 1]);
    for form in FORMS {
        let Ok(most) = form.decode_len(text.len()) else { continue };
        let Some(place) = room.get_mut(..most) else { continue };
        if form.decode_mut(text, place) == Ok(KEY_BYTES) {
            key.copy_from_slice(&room[..KEY_BYTES]);
            return Ok(EncryptionKey::new(&key));
        }
    }
    Err(FORM.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_key(text: &str) -> bool {
        of_text(text.as_bytes()).is_ok()
    }

    #[test]
    fn a_key_is_32_bytes_in_hexadecimal_digits_or_in_base64() {
        let bytes = [0xFB; KEY_BYTES];
        for form in FORMS {
            let text = form.encode(&bytes);
            assert!(is_key(&text) && is_key(&format!(" {text}\n")), "{text}");
        }
        assert!(is_key(&data_encoding::HEXUPPER.encode(&bytes)));
        for length in [0, 1, 16, 31, 33, 64, 1000] {
            let bytes = vec![0xFB; length];
            assert!(FORMS.iter().all(|form| !is_key(&form.encode(&bytes))), "{length}");
        }
        for text in ["", "password", "correct horse battery staple", &"z".repeat(64)] {
            assert!(!is_key(text), "{text}");
        }
    }

    #[test]
    fn what_may_be_a_key_is_not_shown() {
        assert!(shown("SHOP_KEY").contains("SHOP_KEY"));
        for form in FORMS {
            let text = form.encode(&[7; KEY_BYTES]);
            assert!(!shown(&text).contains(&text));
        }
    }
}
