//! The attributes that say something of the policy.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::{Error, Expr, Path, Result};

use crate::attr;
use crate::duration::Millis;

/// The policy settings of a type, in the order they were given.
#[derive(Default)]
pub(crate) struct PolicyAttrs {
    settings: Vec<(String, Span, Setting)>,
}

enum Setting {
    Duration(Millis),
    Nothing,
    Number(u32),
    Expression(Expr),
    /// A variant of one of the facade's enums.
    Variant(&'static str, &'static str),
}

impl PolicyAttrs {
    /// Parses the setting `key`, which is known to be one.
    pub(crate) fn parse(&mut self, key: &str, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let span = meta.path.segments[0].ident.span();
        let setting = match key {
            "no_ttl" | "no_region_ttl" | "no_load_timeout" => Setting::Nothing,
            "version" => Setting::Number(attr::number(meta)?),
            "serializer" | "policy" => Setting::Expression(attr::expression(meta)?),
            "on_update" => match attr::word(meta, &["restart", "keep"])?.as_str() {
                "restart" => Setting::Variant("OnUpdate", "Restart"),
                _ => Setting::Variant("OnUpdate", "Keep"),
            },
            "read_from" => match attr::word(meta, &["primary", "replica"])?.as_str() {
                "primary" => Setting::Variant("ReadFrom", "Primary"),
                _ => Setting::Variant("ReadFrom", "Replica"),
            },
            "on_outage" => match attr::word(meta, &["miss", "error"])?.as_str() {
                "miss" => Setting::Variant("OnOutage", "Miss"),
                _ => Setting::Variant("OnOutage", "Error"),
            },
            _ => Setting::Duration(attr::duration(meta)?),
        };
        self.settings.push((key.to_owned(), span, setting));
        Ok(())
    }

    /// Looks for settings that contradict each other.
    pub(crate) fn check(&self, errors: &mut Vec<Error>) {
        for limit in ["ttl", "region_ttl", "load_timeout"] {
            let none = self.settings.iter().find(|(key, ..)| *key == format!("no_{limit}"));
            if let (Some(_), Some((_, span, _))) = (self.duration(limit), none) {
                let text = format!("`{limit}` and `no_{limit}` contradict each other");
                errors.push(Error::new(*span, text));
            }
        }
        if let Some((_, span, _)) = self.settings.iter().find(|(key, ..)| key == "policy")
            && self.settings.len() > 1
        {
            let text = "`policy` stands for all settings: move the others into the function";
            errors.push(Error::new(*span, text));
        }
        let keeps = self
            .settings
            .iter()
            .any(|(_, _, setting)| matches!(setting, Setting::Variant(_, "Keep")));
        if let (Some((ttl, span)), Some((region_ttl, _)), true) =
            (self.duration("ttl"), self.duration("region_ttl"), keeps)
            && ttl > region_ttl
        {
            let text = "with `on_update = \"keep\"` no entry outlives `region_ttl`: shorten `ttl`, \
                        or leave it out";
            errors.push(Error::new(span, text));
        }
    }

    fn duration(&self, name: &str) -> Option<(Millis, Span)> {
        self.settings.iter().find_map(|(key, span, setting)| match setting {
            Setting::Duration(millis) if key == name => Some((*millis, *span)),
            _ => None,
        })
    }

    /// The method `policy` of the implementation, if anything was said.
    pub(crate) fn method(&self, krate: &Path) -> Option<TokenStream> {
        if self.settings.is_empty() {
            return None;
        }
        let mut policy = quote!(#krate::Policy::new());
        for (key, span, setting) in &self.settings {
            let method = syn::Ident::new(key, *span);
            policy = match setting {
                Setting::Expression(function) if key == "policy" => quote!((#function)()),
                Setting::Expression(value) => quote!(#policy.#method(#value)),
                Setting::Duration(millis) => quote!(#policy.#method(#millis)),
                Setting::Number(number) => quote!(#policy.#method(#number)),
                Setting::Nothing => quote!(#policy.#method()),
                Setting::Variant(of, variant) => {
                    let of = syn::Ident::new(of, *span);
                    let variant = syn::Ident::new(variant, *span);
                    quote!(#policy.#method(#krate::#of::#variant))
                }
            };
        }
        Some(quote! {
            fn policy() -> #krate::Policy {
                #policy
            }
        })
    }
}
