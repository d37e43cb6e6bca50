//! Golden expansions: what the derive writes, kept as files.

use proc_macro2::TokenStream;
use syn::DeriveInput;

use crate::expand::expand;
use crate::valid::Model;

/// Where the files are. With `GOLDEN=overwrite` they are written anew.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

fn check(name: &str, input: &str) {
    let input: DeriveInput = syn::parse_str(input).unwrap();
    let model = Model::of(&input).unwrap_or_else(|error| panic!("{name}: {error}"));
    let expanded: TokenStream = expand(&model);
    let expanded = prettyplease::unparse(&syn::parse2(expanded).unwrap());
    let file = format!("{FOLDER}/{name}.rs");
    if std::env::var("GOLDEN").is_ok_and(|mode| mode == "overwrite") {
        std::fs::write(&file, expanded).unwrap();
        return;
    }
    let golden = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert_eq!(expanded, golden, "{file}");
}

#[test]
fn top_level() {
    check(
        "top_level",
        r#"#[region(name = "org", ttl = "1h30m", version = 2)] pub struct Org { #[region(id)] id: u64 }"#,
    );
}

#[test]
fn with_parent_ids() {
    check(
        "with_parent_ids",
        "#[region(parent = Project)]
        pub(crate) struct Task {
            #[region(parent_id)] org: u64,
            #[region(parent_id)] project: String,
            #[region(id)] number: u32,
        }",
    );
}

#[test]
fn with_an_embedded_parent() {
    check(
        "with_an_embedded_parent",
        "struct Task<'a, P> where P: Clone {
            #[region(parent)] project: &'a Project<P>,
            #[region(id)] number: u32,
        }",
    );
}

#[test]
fn without_ids() {
    check("without_ids", r#"#[region(crate = "cache", constructor = "at")] struct Settings;"#);
}

#[test]
fn an_enum() {
    check(
        "an_enum",
        r#"#[region(parent = Org, read_from = "replica", on_outage = "error")]
        enum Page {
            Home { #[region(parent_id)] org: u64 },
            #[region(name = "post")]
            Article(#[region(parent_id)] u64, #[region(id)] u32),
        }"#,
    );
}

/// Bug: the expressions of attributes were printed from what had been parsed. Effect: some that are nested a hundred
/// deep took for ever. Fix: they are passed on as they were written.
#[test]
fn an_expression_is_passed_on_as_it_was_written() {
    let nested = format!("a = b & {}", ".. ".repeat(100));
    for written in [&nested, "x::<A, B>(1, 2)"] {
        let input = format!("#[region(serializer = {written}, ttl = \"1s\")] struct Org;");
        let input: DeriveInput = syn::parse_str(&input).unwrap();
        let model = Model::of(&input).unwrap_or_else(|error| panic!("{error}"));
        let expanded = expand(&model).to_string();
        let written: TokenStream = written.parse().unwrap();
        assert!(expanded.contains(&written.to_string()), "{expanded}");
    }
    let body = format!("{{ #![allow(unused)] a & {nested} }}");
    let function: TokenStream = format!("async fn f() {body}").parse().unwrap();
    let expanded = crate::cached::expand(quote::quote!(region = r), function).to_string();
    let nested: TokenStream = nested.parse().unwrap();
    assert!(expanded.contains(&nested.to_string()), "{expanded}");
    assert_eq!(expanded.matches("# !").count(), 1, "{expanded}");
}

/// Bug: any path was taken for that of a crate. Effect: one with generic arguments led to code that is none, and to
/// errors that say nothing. Fix: it is a path as in `use`.
#[test]
fn the_path_of_a_crate_has_no_generic_arguments() {
    for path in ["Box<Org>", "\"Box<Org>\""] {
        let input: DeriveInput =
            syn::parse_str(&format!("#[region(crate = {path})] struct Org;")).unwrap();
        assert!(Model::of(&input).is_err(), "{path}");
    }
}

/// Bug: types were printed from what had been parsed, the expressions in them too. Effect: some that are nested a
/// hundred deep took for ever. Fix: these are refused, wherever a type is printed.
#[test]
fn an_expression_in_a_type_is_not_nested_deep() {
    let deep = format!("[u8; a & {}]", ".. ".repeat(100));
    for input in [
        format!("struct Org {{ #[region(id)] id: {deep} }}"),
        format!("struct Org(#[region(id)] {deep});"),
        format!("enum Page {{ A(#[region(id)] {deep}) }}"),
        format!("#[region(parent = Org<{deep}>)] struct Project;"),
        format!("struct Org<T> where {deep}: Clone {{ #[region(id)] id: T }}"),
    ] {
        let derived = crate::derive::derive(&syn::parse_str(&input).unwrap()).to_string();
        assert!(derived.contains("nested too deep"), "{derived}");
    }
    for function in [format!("async fn f(a: {deep}) {{}}"), format!("async fn f() -> {deep} {{}}")]
    {
        let function = function.parse().unwrap();
        let expanded = crate::cached::expand(quote::quote!(region = r), function).to_string();
        assert!(expanded.contains("nested too deep"), "{expanded}");
    }
    let other = format!("struct Org {{ #[region(id)] id: [u8; 2 * (1 + 1)], other: {deep} }}");
    let derived = crate::derive::derive(&syn::parse_str(&other).unwrap()).to_string();
    assert!(!derived.contains("compile_error"), "{derived}");
}
