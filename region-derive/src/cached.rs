//! `#[cached]`: an async function, memoised.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::quote;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    AttrStyle, Attribute, Error, FnArg, GenericArgument, GenericParam, Ident, ItemFn, LitStr, Pat,
    Path, PathArguments, Result, ReturnType, Token, Type, parenthesized, parse_quote,
};

use crate::attr::{crate_path, key_of};
use crate::names::default_crate;
use crate::{nesting, value};

const KEYS: &[&str] = &["region", "name", "skip", "crate"];

#[derive(Default)]
struct CachedAttrs {
    region: Option<TokenStream>,
    name: Option<LitStr>,
    skip: Vec<Ident>,
    krate: Option<Path>,
}

pub(crate) fn expand(attributes: TokenStream, item: TokenStream) -> TokenStream {
    let function = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => return error.to_compile_error(),
    };
    match try_expand(attributes, &function, item.clone()) {
        Ok(expanded) => expanded,
        Err(error) => {
            // Keep the function as written, so that its callers cause no further errors.
            let error = error.to_compile_error();
            quote!(#error #item)
        }
    }
}

fn try_expand(
    attributes: TokenStream,
    function: &ItemFn,
    item: TokenStream,
) -> Result<TokenStream> {
    nesting::check_signature(&function.sig)?;
    let attrs = CachedAttrs::parse(attributes)?;
    let arguments = check(function)?;
    for skipped in &attrs.skip {
        if !arguments.contains(skipped) {
            let text = format!("the function has no argument `{skipped}`");
            return Err(Error::new(skipped.span(), text));
        }
    }
    let krate = attrs.krate.unwrap_or_else(default_crate);
    let region = attrs.region.ok_or_else(|| {
        let text = "name the region that stores the values: #[cached(region = ..)]";
        Error::new(function.sig.ident.span(), text)
    })?;
    let name = attrs
        .name
        .unwrap_or_else(|| LitStr::new(&function.sig.ident.to_string(), function.sig.ident.span()));
    let kept = arguments.iter().filter(|argument| !attrs.skip.contains(argument));
    let body = body(item)?;
    let returned = match &function.sig.output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, ty) => (**ty).clone(),
    };
    // The annotation lets the compiler infer the body's type, as the function's return type did.
    let run = quote!(let __value: #returned = async move #body.await;);
    let (value, load) = match value_of_result(&returned) {
        Some(value) => (value, quote!(async move { #run __value })),
        None => {
            let infallible = quote!(::core::convert::Infallible);
            let ok = quote!(::core::result::Result::Ok::<#returned, #infallible>(__value));
            (returned.clone(), quote!(async move { #run #ok }))
        }
    };
    let mut signature = function.sig.clone();
    signature.output = parse_quote!(-> #krate::Result<::std::sync::Arc<#value>>);
    // Those that stand in the body have to stay in it.
    let (inner, outer): (Vec<_>, Vec<_>) =
        function.attrs.iter().partition(|attribute| matches!(attribute.style, AttrStyle::Inner(_)));
    let vis = &function.vis;
    Ok(quote! {
        #(#outer)*
        #vis #signature {
            #(#inner)*
            let __region = #region;
            let __key = #krate::args_key(#name, &(#(&#kept,)*))?;
            let __load = move || #load;
            #krate::Region::get_or_compute::<#value, _, _, _>(&__region, &__key, __load).await
        }
    })
}

/// The body of a function, as it was written (see [`value::expression`]), but for its inner attributes.
fn body(item: TokenStream) -> Result<TokenStream> {
    let Some(TokenTree::Group(body)) = item.into_iter().last() else {
        return Ok(TokenStream::new());
    };
    if body.delimiter() == Delimiter::None {
        return self::body(body.stream());
    }
    let statements = |input: ParseStream<'_>| {
        Attribute::parse_inner(input)?;
        input.parse::<TokenStream>()
    };
    let mut statements = Group::new(Delimiter::Brace, statements.parse2(body.stream())?);
    statements.set_span(body.span());
    Ok(TokenTree::Group(statements).into())
}

impl CachedAttrs {
    fn parse(attributes: TokenStream) -> Result<Self> {
        let mut attrs = Self::default();
        let mut seen = Vec::new();
        let parser = syn::meta::parser(|meta| {
            match key_of(&meta, KEYS, &mut seen)?.as_str() {
                "region" => attrs.region = Some(value::expression(&meta)?),
                "name" => attrs.name = Some(meta.value()?.parse()?),
                "crate" => attrs.krate = Some(crate_path(&meta)?),
                _ => {
                    let names;
                    parenthesized!(names in meta.input);
                    let names = Punctuated::<Ident, Token![,]>::parse_terminated(&names)?;
                    attrs.skip = names.into_iter().collect();
                }
            }
            Ok(())
        });
        parser.parse2(attributes)?;
        Ok(attrs)
    }
}

/// Returns the arguments, or all reasons why the function cannot be memoised.
fn check(function: &ItemFn) -> Result<Vec<Ident>> {
    let signature = &function.sig;
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
    let mut arguments = Vec::new();
    for input in &signature.inputs {
        match argument(input) {
            Ok(argument) => arguments.push(argument),
            Err(error) => errors.push(error),
        }
    }
    match errors.into_iter().reduce(|mut all, error| {
        all.combine(error);
        all
    }) {
        None => Ok(arguments),
        Some(error) => Err(error),
    }
}

fn argument(input: &FnArg) -> Result<Ident> {
    let typed = match input {
        FnArg::Typed(typed) => typed,
        FnArg::Receiver(receiver) => {
            let text = "a method cannot be cached, as `self` is not part of the key: cache a function, or \
                        call `get_or_compute` in the method";
            return Err(Error::new(receiver.span(), text));
        }
    };
    if let Type::Reference(reference) = &*typed.ty {
        let text = "the body may outlive the call: take an owned value, such as `String` or `Arc`";
        return Err(Error::new(reference.span(), text));
    }
    if let Type::ImplTrait(generic) = &*typed.ty {
        let text = "a generic function cannot be cached: write a function for each type";
        return Err(Error::new(generic.span(), text));
    }
    match &*typed.pat {
        Pat::Ident(pattern) if pattern.subpat.is_none() => Ok(pattern.ident.clone()),
        other => Err(Error::new(other.span(), "give the argument a plain name")),
    }
}

/// Returns the `V` of a type that is written `Result<V, ..>`.
fn value_of_result(ty: &Type) -> Option<Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Result")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(value) => Some(value.clone()),
        _ => None,
    }
}
