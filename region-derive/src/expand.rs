//! The implementation of `Regioned` for a valid type.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, Type, parse_quote};

use crate::names::snake_case;
use crate::valid::{Field, Model, Parents, Shape, Step, Variant};

pub(crate) fn expand(model: &Model) -> TokenStream {
    match &model.shape {
        Shape::Struct(step) => expand_struct(model, step),
        Shape::Enum(variants) => expand_enum(model, variants),
    }
}

/// The parts that the implementations for structs and enums share.
struct Parts<'a> {
    model: &'a Model,
    parent: Type,
}

impl<'a> Parts<'a> {
    fn new(model: &'a Model) -> Self {
        let krate = &model.krate;
        let parent = model.parent.clone();
        Self { model, parent: parent.unwrap_or_else(|| parse_quote!(#krate::TopLevel)) }
    }

    fn implementation(
        &self,
        name: &syn::LitStr,
        id: &TokenStream,
        body: &TokenStream,
    ) -> TokenStream {
        let Model { ident, generics, krate, policy, .. } = self.model;
        let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
        let parent = &self.parent;
        let policy = policy.method(krate);
        quote! {
            #[automatically_derived]
            impl #impl_generics #krate::Regioned for #ident #ty_generics #where_clause {
                type Parent = #parent;
                type Id = #id;
                const NAME: &'static str = #name;
                #body
                #policy
            }
        }
    }

    fn inherent(&self, body: &TokenStream) -> TokenStream {
        let Model { ident, generics, .. } = self.model;
        let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
        quote! {
            #[automatically_derived]
            #[allow(dead_code)]
            impl #impl_generics #ident #ty_generics #where_clause {
                #body
            }
        }
    }

    /// The path of a step below `parent`, an expression; `id` is an expression for a reference.
    fn below(&self, parent: &TokenStream, step: &Step, id: &TokenStream) -> TokenStream {
        let (krate, name) = (&self.model.krate, &step.name);
        match &step.id {
            // On the field's type: an id that cannot be one is reported there.
            Some(field) => {
                let ty = &field.ty;
                quote_spanned! {ty.span()=>
                    #krate::TypedPath::child::<Self>(#parent, #name, &#krate::__private::id::<#ty>(#id))
                }
            }
            None => quote!(#krate::TypedPath::only_child::<Self>(#parent, #name)),
        }
    }

    /// The parent's path made of ids, an expression; `ids` are expressions for the ids.
    fn parent_of_ids(&self, fields: &[Field], ids: &[TokenStream]) -> TokenStream {
        let (krate, parent) = (&self.model.krate, &self.parent);
        let types = fields.iter().map(|field| &field.ty);
        let span = fields.first().map_or(self.parent.span(), |field| field.ty.span());
        let checked = quote_spanned! {span=>
            #krate::__private::parent_ids::<#parent, (#(#types,)*)>((#(#ids,)*))
        };
        quote!(<#parent as #krate::Regioned>::path_from(#checked))
    }
}

fn expand_struct(model: &Model, step: &Step) -> TokenStream {
    let parts = Parts::new(model);
    let krate = &model.krate;
    let id = step.id.as_ref().map_or_else(|| quote!(()), |field| quote_type(&field.ty));
    let body = match &step.parents {
        Parents::Ids(parents) => struct_of_ids(&parts, step, parents),
        Parents::Embedded(parent) => struct_in_parent(&parts, step, parent),
    };
    let implementation = parts.implementation(&step.name, &id, &body);
    let (vis, constructor) = (&model.vis, &model.constructor);
    let doc = format!("The path of the region `{}` that these ids name.", step.name.value());
    let inherent = match &step.parents {
        Parents::Ids(parents) => {
            let names = argument_names(step, parents);
            let types = argument_types(step, parents);
            quote! {
                #[doc = #doc]
                #[must_use]
                #[inline]
                #vis fn #constructor(#(#names: #types),*) -> #krate::TypedPath<Self> {
                    <Self as #krate::Regioned>::path_from((#(#names,)*))
                }
            }
        }
        Parents::Embedded(_) => {
            let ids = quote!(<Self as #krate::Regioned>::Ids);
            let doc = format!("{doc} The outermost ancestor's id comes first.");
            quote! {
                #[doc = #doc]
                #[allow(non_upper_case_globals)]
                #vis const #constructor: <#ids as #krate::PathFn<Self>>::Fn =
                    <#ids as #krate::PathFn<Self>>::PATH;
            }
        }
    };
    let inherent = parts.inherent(&inherent);
    quote!(#implementation #inherent)
}

fn quote_type(ty: &Type) -> TokenStream {
    quote!(#ty)
}

/// A struct whose fields are all the ids.
fn struct_of_ids(parts: &Parts<'_>, step: &Step, parents: &[Field]) -> TokenStream {
    let krate = &parts.model.krate;
    let types = argument_types(step, parents);
    let names = argument_names(step, parents);
    let parent_names: Vec<_> = names[..parents.len()].iter().map(|name| quote!(#name)).collect();
    let own = names.last().filter(|_| step.id.is_some());
    let from_ids = parts.below(&parts.parent_of_ids(parents, &parent_names), step, &quote!(&#own));
    let clones: Vec<_> = parents
        .iter()
        .map(|Field { member, .. }| quote!(::core::clone::Clone::clone(&self.#member)))
        .collect();
    let own = step.id.as_ref().map(|field| &field.member);
    let of_self = parts.below(&parts.parent_of_ids(parents, &clones), step, &quote!(&self.#own));
    quote! {
        type Ids = (#(#types,)*);

        #[inline]
        fn path_from((#(#names,)*): Self::Ids) -> #krate::TypedPath<Self> {
            #from_ids
        }

        #[inline]
        fn region_path(&self) -> #krate::TypedPath<Self> {
            #of_self
        }
    }
}

/// A struct that holds its parent: only the parent's type knows how many ids there are.
fn struct_in_parent(parts: &Parts<'_>, step: &Step, field: &Field) -> TokenStream {
    let Parts { model: Model { krate, .. }, parent } = parts;
    let parents = quote!(<#parent as #krate::Regioned>::Ids);
    let (ids, split) = match &step.id {
        Some(Field { ty, .. }) => (
            quote!(<#parents as #krate::AppendId<#ty>>::Ids),
            quote!(let (__parent, __id) = <#parents as #krate::AppendId<#ty>>::split(ids);),
        ),
        None => (parents.clone(), quote!(let __parent = ids;)),
    };
    let from_ids = quote!(<#parent as #krate::Regioned>::path_from(__parent));
    let from_ids = parts.below(&from_ids, step, &quote!(&__id));
    let member = &field.member;
    let of_parent = quote!(<#parent as #krate::Regioned>::region_path(&self.#member));
    let own = step.id.as_ref().map(|field| &field.member);
    let of_self = parts.below(&of_parent, step, &quote!(&self.#own));
    quote! {
        type Ids = #ids;

        #[inline]
        fn path_from(ids: Self::Ids) -> #krate::TypedPath<Self> {
            #split
            #from_ids
        }

        #[inline]
        fn region_path(&self) -> #krate::TypedPath<Self> {
            #of_self
        }
    }
}

/// An enum: as its variants differ in their ids, its path stands for them.
fn expand_enum(model: &Model, variants: &[Variant]) -> TokenStream {
    let parts = Parts::new(model);
    let krate = &model.krate;
    let arms = variants.iter().map(|variant| variant_arm(&parts, variant));
    let matched = match variants.is_empty() {
        true => quote!(match *self {}),
        false => quote!(match self { #(#arms)* }),
    };
    let body = quote! {
        type Ids = (#krate::TypedPath<Self>,);

        #[inline]
        fn path_from((path,): Self::Ids) -> #krate::TypedPath<Self> {
            path
        }

        #[inline]
        fn region_path(&self) -> #krate::TypedPath<Self> {
            #matched
        }
    };
    let implementation = parts.implementation(&snake_case(&model.ident), &quote!(()), &body);
    let constructors: TokenStream =
        variants.iter().map(|variant| variant_constructor(&parts, variant)).collect();
    let inherent = parts.inherent(&constructors);
    quote!(#implementation #inherent)
}

fn variant_arm(parts: &Parts<'_>, Variant { ident, step }: &Variant) -> TokenStream {
    let Parts { model: Model { krate, .. }, parent } = parts;
    let parent_of = match &step.parents {
        Parents::Ids(fields) => {
            let clones: Vec<_> = (0..fields.len())
                .map(|at| format_ident!("__parent{at}"))
                .map(|name| quote!(::core::clone::Clone::clone(#name)))
                .collect();
            parts.parent_of_ids(fields, &clones)
        }
        Parents::Embedded(_) => quote!(<#parent as #krate::Regioned>::region_path(__parent)),
    };
    let below = parts.below(&parent_of, step, &quote!(__id));
    let parents = match &step.parents {
        Parents::Ids(fields) => fields
            .iter()
            .enumerate()
            .map(|(at, Field { member, .. })| {
                let name = format_ident!("__parent{at}");
                quote!(#member: #name,)
            })
            .collect(),
        Parents::Embedded(field) => {
            let member = &field.member;
            quote!(#member: __parent,)
        }
    };
    let id = step.id.as_ref().map(|Field { member, .. }| quote!(#member: __id,));
    quote!(Self::#ident { #parents #id .. } => #below,)
}

fn variant_constructor(parts: &Parts<'_>, Variant { ident, step }: &Variant) -> TokenStream {
    let Parts { model: Model { krate, vis, constructor, .. }, parent } = parts;
    let name = format_ident!("{}_{constructor}", snake_case(ident).value());
    let doc = format!("The path of the region `{}` that these ids name.", step.name.value());
    let id = step.id.as_ref().map(|Field { ty, .. }| quote!(__id: #ty));
    let (arguments, parent_of) = match &step.parents {
        Parents::Ids(fields) => {
            let names: Vec<_> = (0..fields.len()).map(|at| format_ident!("__parent{at}")).collect();
            let types = fields.iter().map(|field| &field.ty);
            let ids: Vec<_> = names.iter().map(|name| quote!(#name)).collect();
            (quote!(#(#names: #types,)*), parts.parent_of_ids(fields, &ids))
        }
        Parents::Embedded(_) => (quote!(parent: #krate::TypedPath<#parent>,), quote!(parent)),
    };
    let below = parts.below(&parent_of, step, &quote!(&__id));
    quote! {
        #[doc = #doc]
        #[must_use]
        #[inline]
        #vis fn #name(#arguments #id) -> #krate::TypedPath<Self> {
            #below
        }
    }
}

/// The names of a constructor's arguments: those of the fields, where they have names.
fn argument_names(step: &Step, parents: &[Field]) -> Vec<Ident> {
    let name = |(at, field): (usize, &Field)| match &field.member {
        syn::Member::Named(name) => name.clone(),
        syn::Member::Unnamed(_) => Ident::new(&format!("id{at}"), Span::call_site()),
    };
    parents.iter().chain(&step.id).enumerate().map(name).collect()
}

fn argument_types<'a>(step: &'a Step, parents: &'a [Field]) -> Vec<&'a Type> {
    parents.iter().chain(&step.id).map(|field| &field.ty).collect()
}
