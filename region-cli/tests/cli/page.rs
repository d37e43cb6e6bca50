//! The page about the program: each command in it is run, and prints what it shows.

use servers::{Flavor, TestServer};

use crate::kit::{command, fill};

/// A part of a line that differs from run to run.
const ANYTHING: &str = "[..]";

/// The blocks of the page that begin with `$ region`, each with the lines that follow.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let blocks = page.split("```console\n$ region ").skip(1);
    blocks.filter_map(|block| block.split_once("```")?.0.split_once('\n')).collect()
}

fn fits(line: &str, pattern: &str) -> bool {
    let mut parts = pattern.split(ANYTHING);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[tokio::test]
async fn each_command_of_the_page_prints_what_it_shows() {
    let page = include_str!("../../../docs/region-cli.md");
    let args = ["--maxmemory", "100mb", "--maxmemory-policy", "noeviction"];
    let server = TestServer::start_with(Flavor::Redis, &args);
    // No process is left that would change anything.
    drop(fill(&server.url()).await);
    let blocks = blocks(page);
    let shown: Vec<&str> = blocks.iter().filter_map(|(line, _)| line.split(' ').next()).collect();
    for name in [
        "tree",
        "get",
        "explain",
        "invalidate",
        "touch",
        "expire",
        "watch",
        "ui",
        "stats",
        "reclaim",
        "doctor",
    ] {
        assert!(shown.contains(&name), "{name} is not shown");
    }
    for (line, expected) in blocks {
        let args: Vec<&str> = line.split(' ').collect();
        let output = command(&server.url(), &args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // As on a terminal: what is said, and then the output.
        let printed = [text(&output.stderr), text(&output.stdout)].concat();
        let url = server.url();
        let printed = printed.replace(&url, "redis://127.0.0.1:6379");
        let (lines, patterns) = (printed.lines(), expected.lines());
        let is_same = lines.clone().count() == patterns.clone().count()
            && lines.zip(patterns).all(|(line, pattern)| fits(line, pattern));
        assert!(is_same, "region {line}\nprints\n{printed}\nand not\n{expected}");
    }
}

#[test]
fn a_pattern_fits_what_it_leaves_open() {
    assert!(fits("a 1 b 2 c", "a [..] b [..] c"));
    assert!(fits("same", "same") && fits("anything", "[..]"));
    assert!(!fits("a 1 b", "a [..] c") && !fits("same!", "same"));
}
