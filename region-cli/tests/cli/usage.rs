//! What does not depend on a server: help, mistakes, outages, pipes.

use std::process::Stdio;

use servers::{Flavor, TestServer};

use crate::kit::{command, fill, region, start};

#[test]
fn help_has_examples_and_exit_codes() {
    let help = region("redis://:secret@h", &["--help"]).exits(0);
    for part in ["tree", "doctor", "Exit codes:", "64", "REGION_CACHE_URL"] {
        assert!(help.stdout.contains(part), "{part}: {}", help.stdout);
    }
    let help = region("redis://:secret@h", &["watch", "--help"]).exits(0);
    assert!(help.stdout.contains("Example:\n  region watch org:42 --for 10s"), "{}", help.stdout);
    assert!(help.stdout.contains("Exit codes:"), "{}", help.stdout);
    let nothing = region("", &[]).exits(64);
    assert!(nothing.stderr.contains("Usage: region"), "{nothing:?}");
    assert!(region("", &["--version"]).exits(0).stdout.starts_with("region 0."));
}

#[test]
fn a_typo_gets_a_suggestion() {
    let ran = region("redis://h", &["tre"]).exits(64);
    assert!(ran.stderr.contains("'tree'"), "{ran:?}");
    let ran = region("redis://h", &["tree", "--dept", "1"]).exits(64);
    assert!(ran.stderr.contains("'--depth'"), "{ran:?}");
    assert!(ran.stdout.is_empty());
}

#[test]
fn mistakes_are_named() {
    for (url, args, says) in [
        ("", &["tree"][..], "no server is named"),
        ("memory:", &["tree"], "within one process"),
        ("redis://u:secret@h:port", &["tree"], "the port of the host"),
        ("reddis://:secret@h", &["tree"], "its scheme is none of redis"),
        ("redis://h", &["tree", "--timeout", "soon"], "write 500ms"),
        ("redis://h", &["tree", "--limit", "0"], "0 is not in 1..=1000000"),
        ("redis://h", &["tree", "--root", "a..b"], "--root: "),
        ("redis://h", &["touch", "a", "--within", "1s"], "--wait-for"),
        ("redis://h", &["get", "a", "k", "--raw", "--json"], "cannot be used with"),
    ] {
        let ran = region(url, args).exits(64);
        assert!(ran.stderr.contains(says), "{url} {args:?}: {ran:?}");
        assert!(ran.stdout.is_empty(), "{ran:?}");
    }
}

#[test]
fn a_server_that_is_down_is_exit_code_two() {
    let mut server = TestServer::start(Flavor::Redis);
    let url = server.url();
    server.kill();
    for args in [&["tree"][..], &["stats"], &["watch"], &["get", "a", "k"], &["touch", "a", "-y"]] {
        let ran = region(&url, args).exits(2);
        assert!(ran.stderr.contains("cannot be reached"), "{args:?}: {ran:?}");
        assert!(ran.stderr.contains("region doctor"), "{args:?}: {ran:?}");
    }
}

#[test]
fn a_wrong_password_is_exit_code_one() {
    let server = TestServer::start_with(Flavor::Redis, &["--requirepass", "right"]);
    let url = server.url().replace("redis://", "redis://:secret@");
    let ran = region(&url, &["tree"]).exits(1);
    assert!(ran.stderr.contains("Check the user and the password"), "{ran:?}");
}

#[tokio::test]
async fn a_path_is_below_the_root() {
    let server = TestServer::start(Flavor::Redis);
    let ran = region(&server.url(), &["tree", "shop.org:42"]).exits(64);
    assert!(ran.stderr.contains("write org:42 for shop.org:42"), "{ran:?}");
    let ran = region(&server.url(), &["tree", "org:42."]).exits(64);
    assert!(ran.stderr.contains("A path is written"), "{ran:?}");
    region(&server.url(), &["get", "org:42", ""]).exits(64);
}

/// The reader of the output goes: the program ends, without a word.
#[tokio::test]
async fn a_closed_pipe_ends_it_quietly() {
    let server = TestServer::start(Flavor::Redis);
    fill(&server.url()).await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = command(&server.url(), &["tree"]);
    let output = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(141));
    assert!(output.stderr.is_empty(), "{output:?}");
    let mut child = start(&server.url(), &["--help"]);
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn shells_get_completions() {
    for (shell, says) in [
        ("bash", "complete -F _region"),
        ("zsh", "#compdef region"),
        ("fish", "complete -c region"),
    ] {
        let ran = region("", &["completions", shell]).exits(0);
        assert!(ran.stdout.contains(says) && ran.stdout.contains("doctor"), "{shell}: {ran:?}");
    }
    region("", &["completions", "cmd"]).exits(64);
}

#[test]
fn there_is_a_man_page_for_each_command() {
    let page = region("redis://:secret@h", &["man"]).exits(0).stdout;
    for part in [".TH region 1", "REGION_CACHE_URL", "Exit codes:"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let folder = std::env::temp_dir().join(format!("region-man-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    region("", &["man", "--folder", &folder.display().to_string()]).exits(0);
    let written = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    assert!(written("region.1").contains(".TH region 1"));
    assert!(written("region-doctor.1").contains("Example:"));
    std::fs::remove_dir_all(&folder).unwrap();
    let ran = region("", &["man", "--folder", &folder.display().to_string()]).exits(1);
    assert!(ran.stderr.contains("region-man-"), "{ran:?}");
}
