//! The arguments of a function that is memoised.

use proc_macro2::Ident;
use syn::spanned::Spanned;
use syn::{Error, FnArg, GenericParam, PatType, Receiver, Result, Signature, Type};

/// The arguments of a function.
pub(crate) struct Arguments {
    pub(crate) receiver: Option<SelfArgument>,
    pub(crate) names: Vec<Ident>,
}

/// The argument `self` of a method.
pub(crate) struct SelfArgument {
    pub(crate) ident: Ident,
    /// The type that a reference leads to; `None` if the method takes a value.
    pub(crate) behind_reference: Option<Type>,
}

impl Arguments {
    /// The names of all arguments, `self` included.
    pub(crate) fn with_receiver(&self) -> Vec<Ident> {
        let receiver = self.receiver.iter().map(|receiver| receiver.ident.clone());
        receiver.chain(self.names.iter().cloned()).collect()
    }
}

/// Returns the arguments, or all reasons why the function cannot be memoised.
pub(crate) fn check(signature: &Signature) -> Result<Arguments> {
    let mut errors = Vec::new();
    if signature.asyncness.is_none() {
        errors.push(Error::new(signature.fn_token.span, "only an async function can be cached"));
    }
    for generic in &signature.generics.params {
        if !matches!(generic, GenericParam::Lifetime(_)) {
            let text = "a generic function cannot be cached: its instances would share their \
                        entries; write a function for each type";
            errors.push(Error::new(generic.span(), text));
        }
    }
    let mut arguments = Arguments { receiver: None, names: Vec::new() };
    for input in &signature.inputs {
        let error = match input {
            FnArg::Receiver(receiver) => {
                self_argument(receiver).map(|receiver| arguments.receiver = Some(receiver))
            }
            FnArg::Typed(typed) => argument(typed).map(|name| arguments.names.push(name)),
        };
        errors.extend(error.err());
    }
    all(errors).map_or(Ok(arguments), Err)
}

/// All errors as one.
pub(crate) fn all(errors: Vec<Error>) -> Option<Error> {
    errors.into_iter().reduce(|mut all, error| {
        all.combine(error);
        all
    })
}

fn self_argument(receiver: &Receiver) -> Result<SelfArgument> {
    let ident = Ident::new("self", receiver.self_token.span);
    let behind_reference = match &*receiver.ty {
        Type::Reference(reference) if reference.mutability.is_some() => {
            let text =
                "the body runs only if there is no value, so it cannot change `self`: take `&self`";
            return Err(Error::new(receiver.span(), text));
        }
        Type::Reference(reference) => Some((*reference.elem).clone()),
        _ => None,
    };
    Ok(SelfArgument { ident, behind_reference })
}

fn argument(typed: &PatType) -> Result<Ident> {
    if let Type::Reference(reference) = &*typed.ty {
        let text = "the body may outlive the call: take an owned value, such as `String` or `Arc`";
        return Err(Error::new(reference.span(), text));
    }
    if let Type::ImplTrait(generic) = &*typed.ty {
        let text = "a generic function cannot be cached: write a function for each type";
        return Err(Error::new(generic.span(), text));
    }
    match &*typed.pat {
        syn::Pat::Ident(pattern) if pattern.subpat.is_none() => Ok(pattern.ident.clone()),
        other => Err(Error::new(other.span(), "give the argument a plain name")),
    }
}
