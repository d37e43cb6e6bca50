//! The type that a memoised function returns, and what of it is stored.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{GenericArgument, Path, PathArguments, Type};

/// The type that a function returns: `V`, `Option<V>`, `Result<V, ..>` or `Result<Option<V>, ..>`.
pub(crate) struct Returned {
    /// The type of the values that are stored.
    value: Type,
    /// The whole type, if the function cannot fail.
    infallible: Option<Type>,
    /// The absence of a value is remembered as such.
    is_optional: bool,
}

impl Returned {
    pub(crate) fn of(ty: &Type) -> Self {
        let (infallible, ty) = match first_argument(ty, "Result") {
            Some(value) => (None, value),
            None => (Some(ty.clone()), ty.clone()),
        };
        match first_argument(&ty, "Option") {
            Some(value) => Self { value, infallible, is_optional: true },
            None => Self { value: ty, infallible, is_optional: false },
        }
    }

    /// The type that the memoised function returns, within a `Result`.
    pub(crate) fn result(&self) -> TokenStream {
        let value = &self.value;
        match self.is_optional {
            true => quote!(::core::option::Option<::std::sync::Arc<#value>>),
            false => quote!(::std::sync::Arc<#value>),
        }
    }

    /// The load function; `run` binds what the body returns to `__value`.
    pub(crate) fn load(&self, krate: &Path, run: &TokenStream) -> TokenStream {
        let infallible = quote!(::core::convert::Infallible);
        let loaded = quote! {
            match __value {
                ::core::option::Option::Some(__value) => #krate::Loaded::new(__value),
                ::core::option::Option::None => #krate::Loaded::absent(),
            }
        };
        match (&self.infallible, self.is_optional) {
            (None, false) => quote!(move || async move { #run __value }),
            (Some(ty), false) => {
                quote!(move || async move { #run ::core::result::Result::Ok::<#ty, #infallible>(__value) })
            }
            (None, true) => {
                quote!(move |_| async move { #run __value.map(|__value| #loaded) })
            }
            (Some(_), true) => {
                quote!(move |_| async move { #run ::core::result::Result::Ok::<_, #infallible>(#loaded) })
            }
        }
    }

    /// The expression that looks `__key` up in `__region`, or loads it by `__load`.
    pub(crate) fn compute(&self, krate: &Path) -> TokenStream {
        let value = &self.value;
        match self.is_optional {
            false => quote! {
                #krate::Region::get_or_compute::<#value, _, _, _>(__region, &__key, __load).await
            },
            true => {
                let options = quote!(#krate::LoadOptions::new());
                quote! {
                    #krate::Region::get_or_compute_with::<#value, _, _, _>(
                        __region, &__key, #options, __load,
                    )
                    .await
                }
            }
        }
    }
}

/// The first type in `name<..>`, if that is how the type is written.
fn first_argument(ty: &Type, name: &str) -> Option<Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(value) => Some(value.clone()),
        _ => None,
    }
}
