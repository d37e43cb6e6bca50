//! Wrong use of the macros is an error that says what to write instead.

/// The expected errors stand beside the cases; `TRYBUILD=overwrite` writes them anew.
#[test]
fn wrong_use_says_what_to_write() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
