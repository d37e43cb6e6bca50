//! The attributes that set a type's policy.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::{Error, Ident, Path, Result};

use crate::duration::Millis;
use crate::value;

/// The attributes, each with the kind of its value. The library declares the same settings
/// (`Policy::SETTINGS`); a test compares the two.
const SETTINGS: &[(&str, Kind)] = &[
    ("ttl", Kind::Duration),
    ("no_ttl", Kind::Nothing),
    ("ttl_jitter", Kind::Number),
    ("absent_ttl", Kind::Duration),
    ("region_ttl", Kind::Duration),
    ("no_region_ttl", Kind::Nothing),
    ("on_update", Kind::Word("OnUpdate", &["restart", "keep"])),
    ("stale_for", Kind::Duration),
    ("on_stale", Kind::Word("OnStale", &["wait", "refresh"])),
    ("soft_timeout", Kind::Duration),
    ("no_soft_timeout", Kind::Nothing),
    ("load_retry_after", Kind::Duration),
    ("early_refresh_at", Kind::Number),
    ("early_refresh_beta", Kind::Number),
    ("load_timeout", Kind::Duration),
    ("no_load_timeout", Kind::Nothing),
    ("lease", Kind::Duration),
    ("read_from", Kind::Word("ReadFrom", &["primary", "replica"])),
    ("on_outage", Kind::Word("OnOutage", &["miss", "error"])),
    ("near", Kind::Word("NearCache", &["off", "on"])),
    ("near_unverified_for", Kind::Duration),
    ("near_outage_for", Kind::Duration),
    ("age", Kind::Word("EntryAge", &["unknown", "recorded"])),
    ("serializer", Kind::Expression),
    ("version", Kind::Number),
    (WHOLE, Kind::Expression),
];

/// The attribute that replaces all settings.
const WHOLE: &str = "policy";

/// The kind of an attribute's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Duration,
    Nothing,
    Number,
    Expression,
    /// A variant of this enum of the library, spelt as one of these words.
    Word(&'static str, &'static [&'static str]),
}

/// The policy settings of a type, in the order they were given.
#[derive(Default)]
pub(crate) struct PolicyAttrs {
    settings: Vec<(String, Span, Setting)>,
}

enum Setting {
    Duration(Millis),
    Nothing,
    Number(u32),
    Expression(TokenStream),
    Variant(&'static str, String),
}

/// The names of the attributes.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().map(|(name, _)| *name)
}

impl PolicyAttrs {
    /// Parses the value of the setting `key`.
    pub(crate) fn parse(&mut self, key: &str, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let kind = SETTINGS.iter().find(|(name, _)| *name == key).map(|(_, kind)| *kind);
        let setting = match kind.ok_or_else(|| meta.error("this is not a setting of a policy"))? {
            Kind::Duration => Setting::Duration(value::duration(meta)?),
            Kind::Nothing => Setting::Nothing,
            Kind::Number => Setting::Number(value::number(meta)?),
            Kind::Expression => Setting::Expression(value::expression(meta)?),
            Kind::Word(of, words) => Setting::Variant(of, value::word(meta, words)?),
        };
        self.settings.push((key.to_owned(), meta.path.segments[0].ident.span(), setting));
        Ok(())
    }

    /// Reports settings that contradict each other.
    pub(crate) fn validate(&self, errors: &mut Vec<Error>) {
        for limit in ["ttl", "region_ttl", "soft_timeout", "load_timeout"] {
            let none = self.settings.iter().find(|(key, ..)| *key == format!("no_{limit}"));
            if let (Some(_), Some((_, span, _))) = (self.duration(limit), none) {
                let text = format!("`{limit}` and `no_{limit}` contradict each other");
                errors.push(Error::new(*span, text));
            }
        }
        if let Some((_, span, _)) = self.settings.iter().find(|(key, ..)| key == WHOLE)
            && self.settings.len() > 1
        {
            let text = "`policy` stands for all settings: move the others into the function";
            errors.push(Error::new(*span, text));
        }
        let keeps = self.settings.iter().any(|(key, _, setting)| {
            key == "on_update" && matches!(setting, Setting::Variant(_, word) if word == "keep")
        });
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

    /// Returns the policy, or `None` if there are no settings.
    pub(crate) fn expression(&self, krate: &Path) -> Option<TokenStream> {
        if self.settings.is_empty() {
            return None;
        }
        let mut policy = quote!(#krate::Policy::new());
        for (key, span, setting) in &self.settings {
            let method = Ident::new(key, *span);
            policy = match setting {
                Setting::Expression(function) if key == WHOLE => quote!((#function)()),
                Setting::Expression(value) => quote!(#policy.#method(#value)),
                Setting::Duration(millis) => quote!(#policy.#method(#millis)),
                Setting::Number(number) => quote!(#policy.#method(#number)),
                Setting::Nothing => quote!(#policy.#method()),
                Setting::Variant(of, word) => {
                    let of = Ident::new(of, *span);
                    let variant = Ident::new(&capitalized(word), *span);
                    quote!(#policy.#method(#krate::#of::#variant))
                }
            };
        }
        Some(policy)
    }

    /// Returns the method `policy` of the implementation, or `None` if there are no settings.
    pub(crate) fn method(&self, krate: &Path) -> Option<TokenStream> {
        let policy = self.expression(krate)?;
        Some(quote! {
            fn policy() -> #krate::Policy {
                #policy
            }
        })
    }
}

/// The name of the variant that `word` spells.
fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use region_cache::{Policy, PolicySettingKind};

    use super::*;

    /// A setting that the library gains must become an attribute, with the same name and words.
    #[test]
    fn attributes_are_the_settings_of_the_library() {
        let mut expected = Vec::new();
        for setting in Policy::SETTINGS {
            let kind = match setting.kind {
                PolicySettingKind::Duration => Kind::Duration,
                PolicySettingKind::Number => Kind::Number,
                PolicySettingKind::Serializer => Kind::Expression,
                PolicySettingKind::Word(words) => {
                    let own = SETTINGS.iter().find(|(name, _)| *name == setting.name);
                    let Some((_, Kind::Word(of, _))) = own else { panic!("{}", setting.name) };
                    Kind::Word(of, words)
                }
                other => panic!("an unknown kind: {other:?}"),
            };
            expected.push((setting.name, kind));
            expected.extend(setting.unlimited.map(|name| (name, Kind::Nothing)));
        }
        expected.push((WHOLE, Kind::Expression));
        assert_eq!(SETTINGS, expected);
    }
}
