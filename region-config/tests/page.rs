//! The page about configuration lists every setting, and no other.

use std::collections::BTreeSet;

use region_config::Configuration;
use region_core::Policy;
use region_redis::RedisStoreBuilder;

const PAGE: &str = include_str!("../../docs/configuration.md");

/// The cells of the rows that begin with a name, of all tables of the page.
fn rows() -> Vec<Vec<&'static str>> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

fn bare(cell: &str) -> String {
    cell.trim_matches('`').to_owned()
}

/// The variables of the page, each with the setting that it sets, where its row begins with that.
fn listed() -> BTreeSet<(String, Option<String>)> {
    let listed = rows().into_iter().map(|row| {
        let (first, second) = (bare(row[0]), bare(row[1]));
        if second.starts_with("REGION_CACHE_") { (second, Some(first)) } else { (first, None) }
    });
    listed.collect()
}

#[test]
fn the_page_has_every_setting_and_no_other() {
    let mut left = listed();
    for setting in Configuration::settings() {
        let variable = &setting.variable;
        let of_a_path = setting.paths.iter().map(|path| (variable.clone(), Some(path.clone())));
        let rows: Vec<_> = of_a_path.chain([(variable.clone(), None)]).collect();
        let mut found = rows.iter().filter(|row| left.remove(row)).count();
        // It is described in words.
        found += usize::from(setting.paths == ["regions"] && PAGE.contains(variable.as_str()));
        assert_eq!(found, 1, "{variable} is in the page {found} times");
    }
    assert!(left.is_empty(), "the page lists what there is not: {left:?}");
}

#[test]
fn the_page_has_the_defaults_of_the_store() {
    let mut compared = 0;
    for setting in RedisStoreBuilder::SETTINGS {
        let name = setting.name.replace("watch: ", "watch_");
        let Some(row) = rows().into_iter().find(|row| row[0] == format!("`redis.{name}`")) else {
            continue;
        };
        assert_eq!(row[2].to_lowercase(), setting.default.to_lowercase(), "{name}");
        compared += 1;
    }
    assert!(compared >= 10, "{compared}");
}

#[test]
fn the_page_has_the_defaults_of_policies() {
    for setting in Policy::SETTINGS {
        let row = rows().into_iter().find(|row| row[0] == format!("`policy.{}`", setting.name));
        let default = bare(row.unwrap()[2]).to_lowercase();
        let expected = bare(setting.default).to_lowercase().replace("zero", "0");
        assert_eq!(default, expected, "{}", setting.name);
    }
}
