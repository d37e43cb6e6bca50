//! Wrong use of the derive under another name of the facade.

/// Bug: what stands in for a wrong type named the facade by its usual name.
/// Effect: under another name, one mistake was a dozen errors, and the one that matters was hidden.
/// Fix: it honours `crate = ".."`.
#[test]
fn a_mistake_is_one_error_under_any_name() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
