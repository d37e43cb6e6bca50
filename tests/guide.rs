//! The guide and the README: their links lead somewhere, and their tables list what there is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use region_cache::{
    MAX_DEPENDENCIES, MAX_DEPTH, MAX_KEY_BYTES, MAX_PATH_BYTES, MAX_SEGMENT_BYTES, MAX_STEP_KEYS,
    MAX_TRANSACTION_WRITES, Policy, Stats,
};

/// The greatest width of the README, in columns.
const WIDEST: usize = 99;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The Markdown files of a folder.
fn pages(folder: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(root().join(folder)).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|it| it == "md")).collect()
}

fn stem(page: &Path) -> &str {
    page.file_stem().unwrap().to_str().unwrap()
}

/// The lines of a page that are not code.
fn prose(text: &str) -> Vec<&str> {
    let mut is_code = false;
    let mut is_prose = |line: &&str| {
        let is_fence = line.starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    };
    text.lines().filter(&mut is_prose).collect()
}

/// The names that a page defines for its links, and where they lead.
fn definitions<'t>(lines: &[&'t str]) -> Vec<(&'t str, &'t str)> {
    let of_line = |line: &&'t str| line.strip_prefix('[')?.split_once("]: ");
    lines.iter().filter_map(of_line).collect()
}

/// The first cells of the rows of the table that begins with `header`.
fn first_cells<'t>(text: &'t str, header: &str) -> Vec<&'t str> {
    let at = text.find(header).unwrap_or_else(|| panic!("no table begins with {header:?}"));
    let rows = text[at..].lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row[1..].split('|').next().unwrap().trim()).collect()
}

/// The parts of a text that stand in backticks.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// A number as it is written in text: `1,024`.
fn grouped(number: usize) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", grouped(number / 1000), number % 1000),
    }
}

#[test]
fn every_link_leads_to_a_file() {
    let mut checked = 0;
    let all = [pages("."), pages("docs"), pages("docs/guide")].concat();
    for page in all {
        let text = fs::read_to_string(&page).unwrap();
        let lines = prose(&text);
        let inline = lines.iter().flat_map(|line| line.split("](").skip(1));
        let inline = inline.filter_map(|rest| rest.split(')').next());
        let targets = inline.chain(definitions(&lines).into_iter().map(|(_, target)| target));
        for target in targets.filter(|target| !target.starts_with("http")) {
            let file = target.split('#').next().unwrap();
            assert!(
                page.parent().unwrap().join(file).exists(),
                "{}: {target} leads nowhere",
                page.display()
            );
            checked += 1;
        }
    }
    assert!(checked > 50, "only {checked} links were found");
}

#[test]
fn every_page_is_a_module_and_in_the_contents() {
    let (guide, contents) = (read("src/guide.rs"), read("docs/guide/README.md"));
    let of_rustdoc = read("src/guide/links.md");
    let known: BTreeSet<_> =
        definitions(&of_rustdoc.lines().collect::<Vec<_>>()).into_iter().map(|it| it.0).collect();
    for page in pages("docs/guide") {
        let (name, text) = (stem(&page), fs::read_to_string(&page).unwrap());
        let file = format!("{name}.md");
        assert!(name == "README" || guide.contains(&format!("\"{file}\"")), "{file} has no module");
        assert!(
            name == "README" || contents.contains(&format!("]: {file}")),
            "{file} is not listed"
        );
        for (label, _) in definitions(&prose(&text)) {
            assert!(known.contains(label), "{file}: src/guide/links.md lacks [{label}]");
            assert!(text.contains(&format!("][{label}]")), "{file}: {label}");
        }
    }
}

#[test]
fn every_page_ends_with_what_goes_wrong() {
    for page in pages("docs/guide") {
        if !["README", "comparison"].contains(&stem(&page)) {
            let text = fs::read_to_string(&page).unwrap();
            assert!(text.contains("\n## When it goes wrong\n"), "{}", page.display());
            assert!(text.contains("\n```rust"), "{} shows no code", page.display());
        }
    }
}

/// The table is checked by the program on the page.
#[test]
fn the_picture_shows_the_table() {
    const STATES: [&str; 3] = ["kept", "gone", "stale"];
    let page = read("docs/guide/invalidate.md");
    let table = page.split("```text").nth(1).unwrap().split("```").next().unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().filter(|word| STATES.contains(word)).collect())
        .filter(|states: &Vec<_>| !states.is_empty())
        .collect();
    let verbs = 0..3;
    let expected: Vec<_> = verbs.flat_map(|verb| rows.iter().map(move |row| row[verb])).collect();
    let svg = read("docs/guide/invalidate.svg");
    let texts = svg.split("</text>").filter_map(|text| text.rsplit('>').next());
    let shown: Vec<_> = texts.filter(|text| STATES.contains(text)).collect();
    assert_eq!(shown, expected);
    assert_eq!(shown.len(), 15);
}

#[test]
fn every_setting_of_a_policy_is_listed() {
    let page = read("docs/guide/choose-a-policy.md");
    let listed: BTreeSet<_> =
        first_cells(&page, "| setting | default |").into_iter().flat_map(names).collect();
    let settings: BTreeSet<_> = Policy::SETTINGS.iter().map(|setting| setting.name).collect();
    assert_eq!(listed, settings);
    for unlimited in Policy::SETTINGS.iter().filter_map(|setting| setting.unlimited) {
        assert!(page.contains(&format!("`{unlimited}`")), "{unlimited}");
    }
}

#[test]
fn every_count_to_watch_exists() {
    let stats = format!("{:?}", Stats::default());
    let page = read("docs/guide/operating.md");
    let counts: Vec<_> =
        first_cells(&page, "| count | grows when |").into_iter().flat_map(names).collect();
    assert!(counts.len() > 20, "{counts:?}");
    for count in counts {
        assert!(stats.contains(&format!("{count}: ")), "there is no {count}");
    }
}

#[test]
fn every_line_of_the_log_exists() {
    let mut sources = String::new();
    let mut folders = vec![root().join("region-core/src"), root().join("region-redis/src")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
            match path.is_dir() {
                true => folders.push(path),
                false => sources.push_str(&fs::read_to_string(&path).unwrap()),
            }
        }
    }
    let page = read("docs/guide/operating.md");
    let table = page.split("| level | line | means |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|row| row.starts_with('|'));
    let lines: Vec<_> = rows.flat_map(names).collect();
    assert!(lines.len() > 10, "{lines:?}");
    for line in lines {
        assert!(sources.contains(&format!("\"{line}\"")), "nobody logs {line:?}");
    }
}

#[test]
fn the_limits_are_those_of_the_code() {
    let page = read("docs/guide/limits.md");
    for (name, limit) in [
        ("MAX_KEY_BYTES", MAX_KEY_BYTES),
        ("MAX_SEGMENT_BYTES", MAX_SEGMENT_BYTES),
        ("MAX_PATH_BYTES", MAX_PATH_BYTES),
        ("MAX_DEPTH", MAX_DEPTH),
        ("MAX_STEP_KEYS", MAX_STEP_KEYS),
        ("MAX_TRANSACTION_WRITES", MAX_TRANSACTION_WRITES),
        ("MAX_DEPENDENCIES", MAX_DEPENDENCIES),
    ] {
        let row = page.lines().find(|line| line.starts_with('|') && line.contains(name));
        let row = row.unwrap_or_else(|| panic!("no row has {name}"));
        assert!(row.contains(&grouped(limit)), "{name} is {limit}: {row}");
    }
}

/// The tests of the store read the permissions from `LAYOUT.md`.
#[test]
fn the_permissions_are_those_that_are_tested() {
    let block = |text: &str| {
        let begin = text.find("ACL SETUSER app").unwrap();
        text[begin..].split("```").next().unwrap().to_owned()
    };
    assert_eq!(block(&read("docs/guide/connect.md")), block(&read("region-redis/LAYOUT.md")));
}

#[test]
fn the_readme_is_narrow() {
    for line in read("README.md").lines() {
        assert!(line.chars().count() <= WIDEST, "{line}");
    }
}
