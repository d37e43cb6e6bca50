//! The output for a type that fails validation.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error};

use crate::attr::ContainerAttrs;
use crate::names::{default_crate, snake_case};

/// Returns the errors, and a placeholder implementation: without it every use of the type would cause an
/// error too, and hide the actual one.
pub(crate) fn fallback(input: &DeriveInput, error: &Error) -> TokenStream {
    let errors = error.to_compile_error();
    // These errors are part of `error` already.
    let attrs = ContainerAttrs::parse(&input.attrs, &mut Vec::new());
    let (krate, ident) = (attrs.krate.unwrap_or_else(default_crate), &input.ident);
    let name = snake_case(ident);
    let (impl_generics, ty_generics, where_clause) = input.generics.split_for_impl();
    quote! {
        #errors

        #[automatically_derived]
        impl #impl_generics #krate::Regioned for #ident #ty_generics #where_clause {
            type Parent = #krate::TopLevel;
            type Id = ();
            type Ids = ();
            const NAME: &'static str = #name;

            fn path_from((): ()) -> #krate::TypedPath<Self> {
                #krate::TypedPath::only_child::<Self>(#krate::TypedPath::top(), #name)
            }

            fn region_path(&self) -> #krate::TypedPath<Self> {
                <Self as #krate::Regioned>::path_from(())
            }
        }
    }
}
