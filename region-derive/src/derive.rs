//! `#[derive(Regioned)]`.

use proc_macro2::TokenStream;
use syn::DeriveInput;

use crate::expand::expand;
use crate::fallback::fallback;
use crate::nesting;
use crate::valid::Model;

/// The implementation for a type, or all errors in its attributes.
pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    if let Err(error) = nesting::check_input(input) {
        return error.to_compile_error();
    }
    match Model::of(input) {
        Ok(model) => expand(&model),
        Err(error) => fallback(input, &error),
    }
}
