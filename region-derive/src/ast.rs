//! The type to derive for and its attributes, parsed and not validated.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Fields, Ident, LitStr, Member, Result, Type};

use crate::attr::{self, ContainerAttrs, Role};
use crate::names::snake_case;

/// The type.
pub(crate) struct Ast {
    pub(crate) attrs: ContainerAttrs,
    pub(crate) body: Body,
}

pub(crate) enum Body {
    Struct(Segment),
    Enum(Vec<(Ident, Segment)>),
}

/// A struct or a variant.
pub(crate) struct Segment {
    pub(crate) name: LitStr,
    pub(crate) kind: SegmentKind,
    pub(crate) fields: Vec<MarkedField>,
}

/// Tells a unit struct or variant from one with fields.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SegmentKind {
    Unit,
    WithFields,
}

/// A field that is part of the path.
pub(crate) struct MarkedField {
    pub(crate) role: Role,
    /// The place of the attribute that gives the role.
    pub(crate) span: Span,
    pub(crate) member: Member,
    pub(crate) ty: Type,
}

impl Ast {
    /// Parses `input`. Adds the errors of the attributes to `errors`.
    pub(crate) fn parse(input: &DeriveInput, errors: &mut Vec<Error>) -> Result<Self> {
        let attrs = ContainerAttrs::parse(&input.attrs, errors);
        let body = match &input.data {
            Data::Struct(data) => {
                let name = attrs.name.clone().unwrap_or_else(|| snake_case(&input.ident));
                Body::Struct(Segment::parse(name, &data.fields, errors))
            }
            Data::Enum(data) => {
                Body::Enum(data.variants.iter().map(|v| variant(v, errors)).collect())
            }
            Data::Union(data) => {
                let text = "a union cannot have a region: derive for a struct or an enum";
                return Err(Error::new(data.union_token.span(), text));
            }
        };
        Ok(Self { attrs, body })
    }
}

fn variant(variant: &syn::Variant, errors: &mut Vec<Error>) -> (Ident, Segment) {
    let name = attr::variant_name(&variant.attrs, errors);
    let name = name.unwrap_or_else(|| snake_case(&variant.ident));
    (variant.ident.clone(), Segment::parse(name, &variant.fields, errors))
}

impl Segment {
    fn parse(name: LitStr, fields: &Fields, errors: &mut Vec<Error>) -> Self {
        let kind = match fields {
            Fields::Unit => SegmentKind::Unit,
            Fields::Named(_) | Fields::Unnamed(_) => SegmentKind::WithFields,
        };
        let marked = |(at, field): (usize, &syn::Field)| {
            let (role, span) = attr::role(&field.attrs, errors)?;
            let member = match &field.ident {
                Some(ident) => Member::Named(ident.clone()),
                None => Member::Unnamed(at.into()),
            };
            Some(MarkedField { role, span, member, ty: field.ty.clone() })
        };
        Self { name, kind, fields: fields.iter().enumerate().filter_map(marked).collect() }
    }
}
