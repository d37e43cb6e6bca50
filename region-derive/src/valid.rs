//! Validation of the type and its attributes.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::{
    DeriveInput, Error, GenericArgument, Generics, Ident, LitStr, Member, Path, PathArguments,
    Result, Type, Visibility,
};

use crate::ast::{Ast, Body, MarkedField, Segment, SegmentKind};
use crate::attr::{ContainerAttrs, Role};
use crate::names::default_crate;
use crate::policy::PolicyAttrs;

/// A type that passed validation.
pub(crate) struct Model {
    pub(crate) ident: Ident,
    pub(crate) vis: Visibility,
    pub(crate) generics: Generics,
    pub(crate) krate: Path,
    pub(crate) parent: Option<Type>,
    pub(crate) policy: PolicyAttrs,
    pub(crate) constructor: Ident,
    pub(crate) shape: Shape,
}

pub(crate) enum Shape {
    Struct(Box<Step>),
    Enum(Vec<Variant>),
}

pub(crate) struct Variant {
    pub(crate) ident: Ident,
    pub(crate) step: Step,
}

/// One segment: its name and the fields it is made of.
pub(crate) struct Step {
    pub(crate) name: LitStr,
    pub(crate) id: Option<Field>,
    pub(crate) parents: Parents,
}

/// The fields from which the path of the parent is built.
pub(crate) enum Parents {
    /// One field for each id of the ancestors, the outermost first.
    Ids(Vec<Field>),
    /// One field that holds the parent.
    Embedded(Box<Field>),
}

pub(crate) struct Field {
    pub(crate) member: Member,
    pub(crate) ty: Type,
}

impl Model {
    /// Parses and validates a type.
    ///
    /// # Errors
    /// All errors of the type, combined in one.
    pub(crate) fn of(input: &DeriveInput) -> Result<Self> {
        let mut errors = Vec::new();
        let ast = Ast::parse(input, &mut errors)?;
        let model = Self::validate(input, ast, &mut errors);
        match errors.into_iter().reduce(|mut all, error| {
            all.combine(error);
            all
        }) {
            None => Ok(model),
            Some(error) => Err(error),
        }
    }

    fn validate(input: &DeriveInput, Ast { attrs, body }: Ast, errors: &mut Vec<Error>) -> Self {
        let owner = &input.ident;
        attrs.policy.validate(errors);
        let shape = match body {
            Body::Struct(segment) => {
                let kind = segment.kind;
                let step = step(segment, owner, errors);
                check_id(&step, kind, attrs.no_id, owner, errors);
                Shape::Struct(Box::new(step))
            }
            Body::Enum(variants) => {
                check_enum(&attrs, errors);
                let variant = |(ident, segment): (Ident, Segment)| {
                    let step = step(segment, &ident, errors);
                    Variant { ident, step }
                };
                Shape::Enum(variants.into_iter().map(variant).collect())
            }
        };
        let parent = parent_type(&attrs, &shape);
        check_parent(parent.as_ref(), &attrs, &shape, owner, errors);
        Self {
            ident: owner.clone(),
            vis: input.vis.clone(),
            generics: input.generics.clone(),
            krate: attrs.krate.unwrap_or_else(default_crate),
            parent,
            policy: attrs.policy,
            constructor: attrs.constructor.unwrap_or_else(|| Ident::new("path", Span::call_site())),
            shape,
        }
    }
}

impl Step {
    pub(crate) fn parent_ids(&self) -> &[Field] {
        match &self.parents {
            Parents::Ids(ids) => ids,
            Parents::Embedded(_) => &[],
        }
    }
}

fn check_enum(attrs: &ContainerAttrs, errors: &mut Vec<Error>) {
    if let Some(span) = attrs.no_id {
        let text = "a variant without a marked field has no id: leave `no_id` out";
        errors.push(Error::new(span, text));
    }
    if let Some(name) = &attrs.name {
        let text = "each variant is a segment: put the name on the variants";
        errors.push(Error::new(name.span(), text));
    }
}

fn step(Segment { name, fields, .. }: Segment, owner: &Ident, errors: &mut Vec<Error>) -> Step {
    let mut id = None;
    let mut ids = Vec::new();
    let mut embedded: Option<Field> = None;
    for MarkedField { role, span, member, ty } in fields {
        let field = Field { member, ty };
        match role {
            Role::Id if id.is_some() => {
                let text = format!("`{owner}` has two ids: mark one field with #[region(id)]");
                errors.push(Error::new(span, text));
            }
            Role::Id => id = Some(field),
            Role::ParentId if embedded.is_some() => errors.push(mixed(span)),
            Role::ParentId => ids.push(field),
            Role::Parent if !ids.is_empty() => errors.push(mixed(span)),
            Role::Parent if embedded.is_some() => {
                let text = "a region has one parent: mark one field with #[region(parent)]";
                errors.push(Error::new(span, text));
            }
            Role::Parent => embedded = Some(field),
        }
    }
    let parents = match embedded {
        Some(field) => Parents::Embedded(Box::new(field)),
        None => Parents::Ids(ids),
    };
    Step { name, id, parents }
}

fn mixed(span: Span) -> Error {
    let text = "mark either the ids of the parent (`parent_id`) or one field that holds the parent \
                (`parent`), not both";
    Error::new(span, text)
}

/// Checks that a struct with fields has an id or `no_id`, and not both.
fn check_id(
    step: &Step,
    kind: SegmentKind,
    no_id: Option<Span>,
    owner: &Ident,
    errors: &mut Vec<Error>,
) {
    match (&step.id, no_id) {
        (Some(id), Some(span)) => {
            let field = match &id.member {
                Member::Named(name) => name.to_string(),
                Member::Unnamed(index) => index.index.to_string(),
            };
            let text = format!("`no_id` contradicts #[region(id)] on field `{field}`");
            errors.push(Error::new(span, text));
        }
        (None, None) if kind == SegmentKind::WithFields => {
            let text = format!(
                "`{owner}` has no id: mark a field with #[region(id)], or write #[region(no_id)] on the type \
                 if each parent has one such region only"
            );
            errors.push(Error::new(owner.span(), text));
        }
        _ => {}
    }
}

/// Returns the type in the attribute `parent`, or the type of the field marked as `parent`.
fn parent_type(attrs: &ContainerAttrs, shape: &Shape) -> Option<Type> {
    let embedded = |step: &Step| match &step.parents {
        Parents::Embedded(field) => Some(behind_pointers(&field.ty).clone()),
        Parents::Ids(_) => None,
    };
    attrs.parent.clone().or_else(|| match shape {
        Shape::Struct(step) => embedded(step),
        Shape::Enum(variants) => variants.iter().find_map(|variant| embedded(&variant.step)),
    })
}

fn check_parent(
    parent: Option<&Type>,
    attrs: &ContainerAttrs,
    shape: &Shape,
    owner: &Ident,
    errors: &mut Vec<Error>,
) {
    if let Some(Type::Path(path)) = parent
        && path
            .path
            .segments
            .last()
            .is_some_and(|last| last.ident == *owner || last.ident == "Self")
        && path.path.segments.len() == 1
    {
        let text =
            format!("`{owner}` cannot be its own parent: name the type of the parent region");
        errors.push(Error::new(path.span(), text));
    }
    if attrs.parent.is_some() || parent.is_some() {
        return;
    }
    let steps = match shape {
        Shape::Struct(step) => vec![&**step],
        Shape::Enum(variants) => variants.iter().map(|variant| &variant.step).collect(),
    };
    for field in steps.iter().flat_map(|step| step.parent_ids()) {
        let text = "the id of a parent needs the type of the parent: write #[region(parent = ..)] on this type";
        errors.push(Error::new(field.ty.span(), text));
    }
}

/// The type behind references and smart pointers.
fn behind_pointers(ty: &Type) -> &Type {
    match ty {
        Type::Reference(reference) => behind_pointers(&reference.elem),
        Type::Paren(paren) => behind_pointers(&paren.elem),
        Type::Group(group) => behind_pointers(&group.elem),
        Type::Path(path) => {
            let Some(last) = path.path.segments.last() else { return ty };
            match &last.arguments {
                PathArguments::AngleBracketed(arguments)
                    if ["Box", "Rc", "Arc"].iter().any(|pointer| last.ident == pointer) =>
                {
                    match arguments.args.first() {
                        Some(GenericArgument::Type(inner)) => behind_pointers(inner),
                        _ => ty,
                    }
                }
                _ => ty,
            }
        }
        _ => ty,
    }
}
