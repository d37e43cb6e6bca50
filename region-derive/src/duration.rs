use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Error, LitStr, Result};

/// The longest duration: a hundred years of 365 days, as the library has it.
const LONGEST: u64 = 100 * 365 * 24 * 60 * 60 * 1000;

const UNITS: &[(&str, u64)] =
    &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const HELP: &str =
    "write a duration such as \"500ms\", \"10s\", \"5m\", \"2h\", \"1d\" or \"1h30m\"";

/// A duration in milliseconds, more than zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Millis(u64);

impl Millis {
    pub(crate) fn parse(text: &LitStr) -> Result<Self> {
        match parse(&text.value()) {
            None => Err(Error::new(text.span(), HELP)),
            Some(0) => Err(Error::new(text.span(), "a duration must not be zero")),
            Some(millis) if millis > LONGEST => {
                Err(Error::new(text.span(), "a duration must not exceed 100 years (36500d)"))
            }
            Some(millis) => Ok(Self(millis)),
        }
    }
}

/// The number of milliseconds; the greatest number there is for what overflows.
fn parse(text: &str) -> Option<u64> {
    let mut total = 0u64;
    let mut rest = text;
    while !rest.is_empty() || text.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let unit = after.find(|letter: char| letter.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
        if number.is_empty() {
            return None;
        }
        let number = number.parse::<u64>().unwrap_or(u64::MAX);
        total = total.saturating_add(number.saturating_mul(*millis));
        rest = after;
    }
    Some(total)
}

impl ToTokens for Millis {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let millis = self.0;
        tokens.extend(quote!(::core::time::Duration::from_millis(#millis)));
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn durations() {
        assert_eq!(parse("500ms"), Some(500));
        assert_eq!(parse("1h30m"), Some(5_400_000));
        assert_eq!(parse("0s"), Some(0));
        assert_eq!(parse("99999999999999999999d"), Some(u64::MAX));
        for bad in ["", "10", "m", "10 m", "1.5h", "-1s", "10y", "é"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
