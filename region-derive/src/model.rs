//! A type to derive for, checked.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::{
    Data, DeriveInput, Error, Fields, GenericArgument, Generics, Ident, LitStr, Member, Path,
    PathArguments, Result, Type, Visibility, parse_quote,
};

use crate::attr::{self, ContainerAttrs, Role};

/// The type.
pub(crate) struct Model {
    pub(crate) ident: Ident,
    pub(crate) vis: Visibility,
    pub(crate) generics: Generics,
    pub(crate) krate: Path,
    pub(crate) parent: Option<Type>,
    pub(crate) policy: crate::policy::PolicyAttrs,
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

pub(crate) enum Parents {
    /// Told by their ids, outermost first.
    Ids(Vec<Field>),
    /// Told by a field that is the parent.
    Embedded(Box<Field>),
}

pub(crate) struct Field {
    pub(crate) member: Member,
    pub(crate) ty: Type,
}

impl Model {
    pub(crate) fn of(input: &DeriveInput) -> Result<Self> {
        let mut errors = Vec::new();
        let attrs = ContainerAttrs::parse(&input.attrs, &mut errors);
        let name = attrs.name.clone().unwrap_or_else(|| snake_case(&input.ident));
        let shape = match &input.data {
            Data::Struct(data) => {
                let step = step(name, &data.fields, &input.ident, &mut errors);
                check_id(&step, &data.fields, attrs.no_id, &input.ident, &mut errors);
                Shape::Struct(Box::new(step))
            }
            Data::Enum(data) => {
                if let Some(span) = attrs.no_id {
                    let text = "a variant without a marked field has no id: leave `no_id` out";
                    errors.push(Error::new(span, text));
                }
                if let Some(name) = &attrs.name {
                    let text = "each variant is a segment: put the name on the variants";
                    errors.push(Error::new(name.span(), text));
                }
                Shape::Enum(data.variants.iter().map(|v| variant(v, &mut errors)).collect())
            }
            Data::Union(data) => {
                let text = "a union cannot have a region: derive for a struct or an enum";
                return Err(Error::new(data.union_token.span(), text));
            }
        };
        let parent = parent_type(&attrs, &shape);
        check_parent(parent.as_ref(), &attrs, &shape, &input.ident, &mut errors);
        if let Some(error) = errors.into_iter().reduce(|mut all, error| {
            all.combine(error);
            all
        }) {
            return Err(error);
        }
        Ok(Self {
            ident: input.ident.clone(),
            vis: input.vis.clone(),
            generics: input.generics.clone(),
            krate: attrs.krate.unwrap_or_else(default_crate),
            parent,
            policy: attrs.policy,
            constructor: attrs.constructor.unwrap_or_else(|| Ident::new("path", Span::call_site())),
            shape,
        })
    }
}

pub(crate) fn default_crate() -> Path {
    parse_quote!(::region_cache)
}

impl Step {
    pub(crate) fn parent_ids(&self) -> &[Field] {
        match &self.parents {
            Parents::Ids(ids) => ids,
            Parents::Embedded(_) => &[],
        }
    }
}

fn variant(variant: &syn::Variant, errors: &mut Vec<Error>) -> Variant {
    let name = attr::variant_name(&variant.attrs, errors);
    let name = name.unwrap_or_else(|| snake_case(&variant.ident));
    let step = step(name, &variant.fields, &variant.ident, errors);
    Variant { ident: variant.ident.clone(), step }
}

fn step(name: LitStr, fields: &Fields, owner: &Ident, errors: &mut Vec<Error>) -> Step {
    let mut id = None;
    let mut ids = Vec::new();
    let mut embedded: Option<Field> = None;
    for (at, field) in fields.iter().enumerate() {
        let Some((role, span)) = attr::role(&field.attrs, errors) else { continue };
        let member = match &field.ident {
            Some(ident) => Member::Named(ident.clone()),
            None => Member::Unnamed(at.into()),
        };
        let field = Field { member, ty: field.ty.clone() };
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
    let text = "the parent is told by its ids (`parent_id`) or by a field that is the parent \
                (`parent`), not by both";
    Error::new(span, text)
}

/// A struct either has an id or says that it has none.
fn check_id(
    step: &Step,
    fields: &Fields,
    no_id: Option<Span>,
    owner: &Ident,
    errors: &mut Vec<Error>,
) {
    let is_unit = matches!(fields, Fields::Unit);
    match (&step.id, no_id) {
        (Some(id), Some(span)) => {
            let field = match &id.member {
                Member::Named(name) => name.to_string(),
                Member::Unnamed(index) => index.index.to_string(),
            };
            let text = format!("`no_id` contradicts #[region(id)] on field `{field}`");
            errors.push(Error::new(span, text));
        }
        (None, None) if !is_unit => {
            let text = format!(
                "which region is a `{owner}`'s? mark the field that tells with #[region(id)], or write \
                 #[region(no_id)] on the type if there is just one in its parent"
            );
            errors.push(Error::new(owner.span(), text));
        }
        _ => {}
    }
}

/// The parent that is named, or the type of the field that is one.
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
        let text = format!("`{owner}` cannot be its own parent: name the type it lies in");
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
        let text = "whose id is this? name the parent with #[region(parent = ..)] on the type";
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

pub(crate) fn snake_case(ident: &Ident) -> LitStr {
    let text = ident.to_string();
    let text = text.strip_prefix("r#").unwrap_or(&text);
    let mut snake = String::with_capacity(text.len() + 4);
    let mut before: Option<char> = None;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let starts_word = letter.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_ascii_digit()
                    || (before.is_uppercase() && letters.peek().is_some_and(|l| l.is_lowercase()))
            });
        if starts_word {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
        before = Some(letter);
    }
    LitStr::new(&snake, ident.span())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_snake_case() {
        let snake = |name: &str| snake_case(&Ident::new(name, Span::call_site())).value();
        assert_eq!(snake("Project"), "project");
        assert_eq!(snake("ProjectTask"), "project_task");
        assert_eq!(snake("HTTPPage"), "http_page");
        assert_eq!(snake("V2Api"), "v2_api");
    }
}
