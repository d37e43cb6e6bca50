//! `#[cached]`: an async function or method, memoised.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::quote;
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{
    AttrStyle, Attribute, Error, ItemFn, LitStr, Path, Result, ReturnType, Token, Type,
    parenthesized, parse_quote,
};

use crate::arguments::{self, Arguments};
use crate::attr::{crate_path, key_of};
use crate::names::default_crate;
use crate::policy::{self, PolicyAttrs};
use crate::returned::Returned;
use crate::{method, nesting, value};

const KEYS: &[&str] = &["region", "name", "skip", "crate"];

#[derive(Default)]
struct CachedAttrs {
    region: Option<TokenStream>,
    name: Option<LitStr>,
    skip: Vec<Ident>,
    krate: Option<Path>,
    policy: PolicyAttrs,
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
    let arguments = arguments::check(&function.sig)?;
    let kept = attrs.kept(&arguments)?;
    let ident = &function.sig.ident;
    let region = attrs.region.ok_or_else(|| {
        let text = "name the region that stores the values: #[cached(region = ..)]";
        Error::new(ident.span(), text)
    })?;
    let name = attrs.name.unwrap_or_else(|| LitStr::new(&ident.to_string(), ident.span()));
    let krate = attrs.krate.unwrap_or_else(default_crate);
    let policy = attrs
        .policy
        .expression(&krate)
        .map(|policy| quote!(let __region = &#krate::Region::with_policy(__region, #policy)?;));
    let ty: Type = match &function.sig.output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, ty) => (**ty).clone(),
    };
    let returned = Returned::of(&ty);
    let is_method = arguments.receiver.is_some();
    let (run, hidden) = match &arguments.receiver {
        None => (body(item)?, None),
        Some(receiver) => {
            let hidden = method::hidden(function, whole_body(item));
            (method::call(ident, receiver, &arguments.names), Some(hidden))
        }
    };
    let keep = arguments.receiver.as_ref().map(method::keep);
    // The annotation lets the compiler infer the body's type, as the function's return type did.
    let run = quote!(let __value: #ty = async move #run.await;);
    let load = returned.load(&krate, &run);
    let (result, compute) = (returned.result(), returned.compute(&krate));
    let mut signature = function.sig.clone();
    signature.output = parse_quote!(-> #krate::Result<#result>);
    if is_method {
        method::drop_mutability(&mut signature);
    }
    // Those that stand in the body have to stay in it.
    let (inner, outer): (Vec<_>, Vec<_>) =
        function.attrs.iter().partition(|attribute| matches!(attribute.style, AttrStyle::Inner(_)));
    let inner = inner.into_iter().filter(|_| !is_method);
    let outer = outer.into_iter().filter(|attribute| !is_method || !method::is_of_body(attribute));
    let vis = &function.vis;
    Ok(quote! {
        #(#outer)*
        #vis #signature {
            #(#inner)*
            let __region = &#region;
            #policy
            let __key = #krate::args_key(#name, &(#(&#kept,)*))?;
            #keep
            let __load = #load;
            #compute
        }
        #hidden
    })
}

/// The body of a function as it was written, with its braces.
fn whole_body(item: TokenStream) -> TokenStream {
    match item.into_iter().last() {
        Some(TokenTree::Group(body)) if body.delimiter() == Delimiter::None => {
            whole_body(body.stream())
        }
        last => last.into_iter().collect(),
    }
}

/// The body of a function, as it was written (see [`value::expression`]), but for its inner attributes.
fn body(item: TokenStream) -> Result<TokenStream> {
    let Some(TokenTree::Group(body)) = whole_body(item).into_iter().next() else {
        return Ok(TokenStream::new());
    };
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
        let known: Vec<_> = KEYS.iter().copied().chain(policy::names()).collect();
        let parser = syn::meta::parser(|meta| {
            match key_of(&meta, &known, &mut seen)?.as_str() {
                "region" => attrs.region = Some(value::expression(&meta)?),
                "name" => attrs.name = Some(meta.value()?.parse()?),
                "crate" => attrs.krate = Some(crate_path(&meta)?),
                "skip" => {
                    let names;
                    parenthesized!(names in meta.input);
                    let names = Punctuated::<Ident, Token![,]>::parse_terminated_with(
                        &names,
                        Ident::parse_any,
                    )?;
                    attrs.skip = names.into_iter().collect();
                }
                setting => attrs.policy.parse(setting, &meta)?,
            }
            Ok(())
        });
        parser.parse2(attributes)?;
        let mut errors = Vec::new();
        attrs.policy.validate(&mut errors);
        arguments::all(errors).map_or(Ok(attrs), Err)
    }

    /// The arguments that are part of the key.
    fn kept(&self, arguments: &Arguments) -> Result<Vec<Ident>> {
        let all = arguments.with_receiver();
        for skipped in &self.skip {
            if !all.contains(skipped) {
                let text = format!("the function has no argument `{skipped}`");
                return Err(Error::new(skipped.span(), text));
            }
        }
        Ok(all.into_iter().filter(|argument| !self.skip.contains(argument)).collect())
    }
}
