#![no_main]

//! The macros, given any tokens. A crate of macros exports nothing else, so its files are part of this target.

#[path = "../../region-derive/src/arguments.rs"]
mod arguments;
#[path = "../../region-derive/src/ast.rs"]
mod ast;
#[path = "../../region-derive/src/attr.rs"]
mod attr;
#[path = "../../region-derive/src/cached.rs"]
mod cached;
#[path = "../../region-derive/src/derive.rs"]
mod derive;
#[path = "../../region-derive/src/duration.rs"]
mod duration;
#[path = "../../region-derive/src/expand.rs"]
mod expand;
#[path = "../../region-derive/src/fallback.rs"]
mod fallback;
#[path = "../../region-derive/src/method.rs"]
mod method;
#[path = "../../region-derive/src/names.rs"]
mod names;
#[path = "../../region-derive/src/nesting.rs"]
mod nesting;
#[path = "../../region-derive/src/policy.rs"]
mod policy;
#[path = "../../region-derive/src/returned.rs"]
mod returned;
#[path = "../../region-derive/src/valid.rs"]
mod valid;
#[path = "../../region-derive/src/value.rs"]
mod value;

use libfuzzer_sys::fuzz_target;
use proc_macro2::TokenStream;
use region_cache_fuzz::code;
use syn::{DeriveInput, ItemFn};

fuzz_target!(|bytes: &[u8]| {
    let Some((form, bytes)) = bytes.split_first() else { return };
    let mut parts = bytes.splitn(4, |byte| *byte == u8::MAX).map(code);
    let mut part = || parts.next().unwrap_or_default();
    let [one, two, three, four] = [part(), part(), part(), part()];
    match form % 7 {
        0 => derived(&one),
        1 => derived(&format!(
            "#[region({one})] struct Org<{two}> {{ #[region(id)] id: u64, {three} }}"
        )),
        2 => derived(&format!("#[region({one})] struct Org {{ #[region({two})] id: {three} }}")),
        3 => {
            derived(&format!("#[region({one})] enum Page {{ {two}, A({three}), B {{ {four} }} }}"))
        }
        4 => memoised(&one, &format!("async fn f({two}) -> {three} {{ {four} }}")),
        5 => memoised(&one, &format!("async fn f(&self, {two}) -> {three} {{ {four} }}")),
        _ => memoised(&format!("region = r, {one}"), &two),
    }
});

fn derived(input: &str) {
    let Ok(input) = syn::parse_str::<DeriveInput>(input) else { return };
    // The compiler takes no such name.
    if input.generics.type_params().any(|param| param.ident == "_") {
        return;
    }
    check(derive::derive(&input));
}

fn memoised(attributes: &str, function: &str) {
    let Ok(attributes) = attributes.parse::<TokenStream>() else { return };
    let Ok(function) = function.parse::<TokenStream>() else { return };
    // The compiler gives the macro nothing else.
    if syn::parse2::<ItemFn>(function.clone()).is_err() {
        return;
    }
    check(cached::expand(attributes, function));
}

/// The output is items, wherever the input stood.
fn check(output: TokenStream) {
    let text = output.to_string();
    let items = syn::parse2::<syn::File>(quote::quote!(const BEFORE: () = (); #output));
    assert!(
        items.is_ok(),
        "{}: {text}",
        items.err().map(|error| error.to_string()).unwrap_or_default()
    );
}
