//! A method that is memoised: its body moves to a hidden method, which the load calls with a `self` of its own.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{AttrStyle, Attribute, FnArg, ItemFn, Pat, Signature};

use crate::arguments::SelfArgument;

/// The method with the body.
pub(crate) fn hidden(function: &ItemFn, body: TokenStream) -> TokenStream {
    let mut signature = function.sig.clone();
    signature.ident = name(&function.sig.ident);
    let attributes = function.attrs.iter();
    let attributes = attributes
        .filter(|attribute| matches!(attribute.style, AttrStyle::Outer))
        .filter(|attribute| is_of_body(attribute) || is_of_both(attribute));
    quote! {
        #(#attributes)*
        #[doc(hidden)]
        #signature #body
    }
}

/// The block that calls it.
pub(crate) fn call(method: &Ident, receiver: &SelfArgument, arguments: &[Ident]) -> TokenStream {
    let method = name(method);
    let kept = match receiver.behind_reference {
        Some(_) => quote!(&__self),
        None => quote!(__self),
    };
    quote!({ Self::#method(#kept #(, #arguments)*).await })
}

/// The statement that keeps `self` for the load, which may outlive the call.
pub(crate) fn keep(receiver: &SelfArgument) -> TokenStream {
    match &receiver.behind_reference {
        Some(ty) => quote!(let __self = <#ty as ::core::clone::Clone>::clone(self);),
        None => quote!(let __self = self;),
    }
}

/// The memoised method only passes its arguments on.
pub(crate) fn drop_mutability(signature: &mut Signature) {
    for input in &mut signature.inputs {
        match input {
            FnArg::Receiver(receiver) if receiver.reference.is_none() => receiver.mutability = None,
            FnArg::Receiver(_) => {}
            FnArg::Typed(typed) => {
                if let Pat::Ident(pattern) = &mut *typed.pat {
                    pattern.mutability = None;
                }
            }
        }
    }
}

/// Returns true for an attribute that says something of the body alone.
pub(crate) fn is_of_body(attribute: &Attribute) -> bool {
    attribute.path().is_ident("expect")
}

fn is_of_both(attribute: &Attribute) -> bool {
    ["cfg", "allow", "warn", "deny", "forbid"].iter().any(|name| attribute.path().is_ident(name))
}

fn name(method: &Ident) -> Ident {
    format_ident!("__{}_uncached", method)
}
