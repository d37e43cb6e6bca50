//! The page that names these cases.

use std::process::Command;

/// Bug guarded against: a test that the page names is renamed or removed, and the page promises what nothing shows.
#[test]
fn every_test_that_the_page_names_exists() {
    let check = Command::new("python3")
        .args(["ci/scenarios.py", "docs/from-python.md"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&check.stderr);
    assert!(check.status.success() && errors.is_empty(), "{errors}");
}

/// The check finds what is missing: a row without a test, and a test that does not exist.
#[test]
fn the_check_of_the_page_has_teeth() {
    let folder = std::env::temp_dir().join(format!("from-python-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let page = folder.join("page.md");
    let existing = "| a | b | `tests/from_python/page.rs::the_check_of_the_page_has_teeth` |";
    let check = |rows: &str| {
        std::fs::write(&page, format!("| x | y | z |\n|---|---|---|\n{rows}\n")).unwrap();
        let mut command = Command::new("python3");
        command.arg("ci/scenarios.py").arg(&page).current_dir(env!("CARGO_MANIFEST_DIR"));
        command.output().unwrap().status.success()
    };
    let found = [
        check(existing),
        check(&format!("{existing}\n| a | b | nothing |")),
        check("| a | b | `tests/from_python/page.rs::missing` |"),
        check("| a | b | `tests/from_python/missing.rs::missing` |"),
        check(""),
    ];
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(found, [true, false, false, false, false]);
}
