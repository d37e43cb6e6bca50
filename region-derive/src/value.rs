//! The values of attributes, parsed.

use proc_macro2::TokenStream;
use syn::meta::ParseNestedMeta;
use syn::{Error, Expr, LitInt, LitStr, Result};

use crate::duration::Millis;

/// One of a few words, as a string.
pub(crate) fn word(meta: &ParseNestedMeta<'_>, words: &[&str]) -> Result<String> {
    let word: LitStr = meta.value()?.parse()?;
    let text = word.value();
    if words.contains(&text.as_str()) {
        return Ok(text);
    }
    let words: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
    Err(Error::new(word.span(), format!("write {}", words.join(" or "))))
}

/// A duration, as a string.
pub(crate) fn duration(meta: &ParseNestedMeta<'_>) -> Result<Millis> {
    Millis::parse(&meta.value()?.parse()?)
}

/// A number without a sign, of 32 bits.
pub(crate) fn number(meta: &ParseNestedMeta<'_>) -> Result<u32> {
    let number: LitInt = meta.value()?.parse()?;
    number
        .base10_parse()
        .map_err(|_| Error::new(number.span(), "write a number from 0 to 4294967295"))
}

/// Any expression, as it was written: to print one that was parsed takes `syn` exponential time, if it is nested in
/// some ways.
pub(crate) fn expression(meta: &ParseNestedMeta<'_>) -> Result<TokenStream> {
    let input = meta.value()?;
    let mut at = input.cursor();
    let _: Expr = input.parse()?;
    let mut written = TokenStream::new();
    while at != input.cursor()
        && let Some((token, next)) = at.token_tree()
    {
        written.extend([token]);
        at = next;
    }
    Ok(written)
}
