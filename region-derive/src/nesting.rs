//! The bound on how deep expressions in types are nested: to print some takes `syn` exponential time.

use proc_macro2::Span;
use syn::visit::{self, Visit};
use syn::{DeriveInput, Error, Expr, Result, Signature, Type};

/// The deepest that an expression in a type may be nested.
const DEEPEST: usize = 16;

/// Checks what of the type is printed: its generics, and the fields that are part of the path.
pub(crate) fn check_input(input: &DeriveInput) -> Result<()> {
    let mut nesting = Nesting::default();
    nesting.visit_generics(&input.generics);
    nesting.check(input.ident.span())?;
    let mut fields = MarkedFields(Nesting::default());
    fields.visit_data(&input.data);
    fields.0.check(input.ident.span())
}

/// Checks a function's arguments and what it returns.
pub(crate) fn check_signature(signature: &Signature) -> Result<()> {
    let mut nesting = Nesting::default();
    nesting.visit_signature(signature);
    nesting.check(signature.ident.span())
}

/// Checks a type that stands at `place`.
pub(crate) fn check_type(ty: &Type, place: Span) -> Result<()> {
    let mut nesting = Nesting::default();
    nesting.visit_type(ty);
    nesting.check(place)
}

#[derive(Default)]
struct Nesting {
    depth: usize,
    is_too_deep: bool,
}

impl Nesting {
    /// The place is given, as `syn` prints what it is asked the place of.
    fn check(&self, place: Span) -> Result<()> {
        match self.is_too_deep {
            true => {
                let text = "an expression in a type is nested too deep: give its value a name, as a constant";
                Err(Error::new(place, text))
            }
            false => Ok(()),
        }
    }
}

impl<'ast> Visit<'ast> for Nesting {
    fn visit_expr(&mut self, expr: &'ast Expr) {
        if self.depth == DEEPEST {
            self.is_too_deep = true;
            return;
        }
        self.depth += 1;
        visit::visit_expr(self, expr);
        self.depth -= 1;
    }
}

struct MarkedFields(Nesting);

impl<'ast> Visit<'ast> for MarkedFields {
    fn visit_field(&mut self, field: &'ast syn::Field) {
        if field.attrs.iter().any(|attribute| attribute.path().is_ident("region")) {
            self.0.visit_type(&field.ty);
        }
    }

    fn visit_expr(&mut self, _: &'ast Expr) {}
}
