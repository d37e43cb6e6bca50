//! Everything that reads the bytes of others, for the fuzz targets and the tests: a server's replies, the keys
//! and values on it, its messages, and a program's configuration. Each function takes any bytes, and panics
//! where the parsers behave otherwise than they promise.

mod configuration;
mod input;
mod replies;
mod stored;
mod told;

pub use configuration::{settings, url};
pub use replies::{PARSERS, replies};
pub use stored::stored;
pub use told::told;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_as_promised(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for at in 0..PARSERS.len() {
                replies(&[&[at as u8][..], &bytes].concat());
            }
            stored(&bytes);
            told(&bytes);
            settings(&bytes);
            url(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn urls_of_likely_parts_are_read_as_promised(
            parts in prop::collection::vec(prop::sample::select(configuration::PIECES), 0..12),
        ) {
            url(&parts.concat());
        }
    }
}
