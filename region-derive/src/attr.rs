//! Attributes, parsed.

use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Error, Expr, Ident, LitStr, Path, Result, Token, Type};

use crate::nesting;
use crate::policy::{self, PolicyAttrs};

/// The attributes of the type.
#[derive(Default)]
pub(crate) struct ContainerAttrs {
    pub(crate) name: Option<LitStr>,
    pub(crate) parent: Option<Type>,
    pub(crate) no_id: Option<Span>,
    pub(crate) constructor: Option<Ident>,
    pub(crate) krate: Option<Path>,
    pub(crate) policy: PolicyAttrs,
}

/// The role of a field in the region's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Id,
    ParentId,
    Parent,
}

const CONTAINER: &[&str] = &["name", "parent", "no_id", "constructor", "crate"];
const FIELD: &[&str] = &["id", "parent_id", "parent"];
const VARIANT: &[&str] = &["name"];

impl ContainerAttrs {
    pub(crate) fn parse(attributes: &[Attribute], errors: &mut Vec<Error>) -> Self {
        let mut attrs = Self::default();
        let mut seen = Vec::new();
        let known: Vec<_> = CONTAINER.iter().copied().chain(policy::names()).collect();
        each(attributes, errors, |meta| {
            let key = key_of(meta, &known, &mut seen)?;
            match key.as_str() {
                "name" => attrs.name = Some(non_empty(meta.value()?.parse()?)?),
                "parent" => {
                    let parent = meta.value()?.parse()?;
                    nesting::check_type(&parent, meta.path.segments[0].ident.span())?;
                    attrs.parent = Some(parent);
                }
                "no_id" => attrs.no_id = Some(meta.path.segments[0].ident.span()),
                "constructor" => {
                    attrs.constructor = Some(meta.value()?.parse::<LitStr>()?.parse()?)
                }
                "crate" => attrs.krate = Some(crate_path(meta)?),
                _ => attrs.policy.parse(&key, meta)?,
            }
            Ok(())
        });
        attrs
    }
}

/// The role of a field, if it has one.
pub(crate) fn role(attributes: &[Attribute], errors: &mut Vec<Error>) -> Option<(Role, Span)> {
    let mut role: Option<(Role, Span)> = None;
    let mut seen = Vec::new();
    each(attributes, errors, |meta| {
        let span = meta.path.segments[0].ident.span();
        let new = match key_of(meta, FIELD, &mut seen)?.as_str() {
            "id" => Role::Id,
            "parent_id" => Role::ParentId,
            _ => Role::Parent,
        };
        if role.is_some() {
            return Err(Error::new(span, "a field is either `id`, `parent_id` or `parent`"));
        }
        role = Some((new, span));
        Ok(())
    });
    role
}

/// The name given to a variant.
pub(crate) fn variant_name(attributes: &[Attribute], errors: &mut Vec<Error>) -> Option<LitStr> {
    let mut name = None;
    let mut seen = Vec::new();
    each(attributes, errors, |meta| {
        key_of(meta, VARIANT, &mut seen)?;
        name = Some(non_empty(meta.value()?.parse()?)?);
        Ok(())
    });
    name
}

/// `crate = "name"`, or a path.
pub(crate) fn crate_path(meta: &ParseNestedMeta<'_>) -> Result<Path> {
    let value = meta.value()?;
    match value.peek(LitStr) {
        true => value.parse::<LitStr>()?.parse_with(Path::parse_mod_style),
        false => value.call(Path::parse_mod_style),
    }
}

/// Calls `parse` for each part of each `#[region(..)]`, and adds its errors to `errors`.
fn each(
    attributes: &[Attribute],
    errors: &mut Vec<Error>,
    mut parse: impl FnMut(&ParseNestedMeta<'_>) -> Result<()>,
) {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("region")) {
        let parsed = attribute.parse_nested_meta(|meta| {
            let Err(error) = parse(&meta) else { return Ok(()) };
            // Skip the part that failed, so that errors in the remaining parts are reported too.
            if meta.input.peek(Token![=]) {
                let passed_over: Result<Expr> = meta.value().and_then(|value| value.parse());
                if passed_over.is_err() {
                    return Err(error);
                }
            }
            if meta.input.is_empty() || meta.input.peek(Token![,]) {
                errors.push(error);
                return Ok(());
            }
            Err(error)
        });
        errors.extend(parsed.err());
    }
}

/// Returns the name of an attribute. It must be known, and given only once.
pub(crate) fn key_of(
    meta: &ParseNestedMeta<'_>,
    known: &[&str],
    seen: &mut Vec<String>,
) -> Result<String> {
    let Some(ident) = meta.path.get_ident() else {
        return Err(meta.error("write the name of an attribute"));
    };
    let key = ident.to_string();
    if !known.contains(&key.as_str()) {
        let nearest = known.iter().min_by_key(|name| distance(name, &key));
        let hint = match nearest.filter(|name| distance(name, &key) <= 1 + key.len() / 3) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("write one of: {}", known.join(", ")),
        };
        return Err(Error::new(ident.span(), format!("`{key}` is not an attribute here; {hint}")));
    }
    if seen.contains(&key) {
        return Err(Error::new(ident.span(), format!("`{key}` is given twice; leave one out")));
    }
    seen.push(key.clone());
    Ok(key)
}

fn non_empty(name: LitStr) -> Result<LitStr> {
    match name.value().is_empty() {
        true => Err(Error::new(name.span(), "a segment's name must not be empty")),
        false => Ok(name),
    }
}

/// Returns the edit distance of two words.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, candidate) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *candidate);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}
