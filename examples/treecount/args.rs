//! The command line.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// The default depth of the printed tree.
const DEFAULT_DEPTH: usize = 2;

/// The default number of printed entries of a directory.
const DEFAULT_TOP: usize = 8;

/// The text of `--help`.
pub(crate) const HELP: &str = "\
Counts the lines and bytes of every file in a directory tree, through a cache.

Usage: treecount [OPTIONS] <DIR>

Every directory is a region of the cache, inside that of the directory around it. It keeps its
total, made out of the totals of the directories inside, and the counts of its files. The tree is
counted three times: cold, when every file is read; warm, when none is; and after one file counts
as changed, when only what lies on its way up is counted again. Nothing on disk is written.

Options:
  --changed FILE  the file that counts as changed, in DIR [default: the deepest one]
  --depth N       how many levels of the tree are printed [default: 2]
  --top N         how many entries of each directory are printed, largest first [default: 8]
  --help          prints this

A line ends at a newline, as for `wc -l`. Symbolic links are not followed, nothing but plain files
is opened, and other file systems are not entered. What cannot be read is reported and left out.

Environment:
  REGION_CACHE_URL  where the cache is kept: memory:, redis://127.0.0.1:6379, rediss:// for TLS, unix://
                    for a socket, redis-sentinel://, redis-cluster:// [default: memory:?max_bytes=1GiB]

Exit status: 0 if the tree was counted, 1 if that failed, 2 if the arguments are no good.
";

/// The command that the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Help,
    Count(Args),
}

/// The directory to count, and the part of the result to print.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Args {
    pub(crate) dir: PathBuf,
    pub(crate) changed: Option<PathBuf>,
    pub(crate) depth: usize,
    pub(crate) top: usize,
}

/// Reads the arguments after the program's name. An error says what is wrong with them.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
    let mut args = args.into_iter();
    let mut dir = None;
    let mut changed = None;
    let mut depth = DEFAULT_DEPTH;
    let mut top = DEFAULT_TOP;
    let mut options_may_follow = true;
    while let Some(arg) = args.next() {
        let text = arg.to_str().unwrap_or_default();
        if !options_may_follow || text == "-" || !arg.as_encoded_bytes().starts_with(b"-") {
            if dir.replace(PathBuf::from(&arg)).is_some() {
                return Err(format!("one directory only: {} is too much", shown(&arg)));
            }
            continue;
        }
        // A value given as `--name=value`. Of what is not UTF-8 nothing is an option.
        let (name, attached) = match text.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (text, None),
        };
        let mut value = || {
            let value = attached.clone().or_else(|| args.next());
            value.ok_or_else(|| format!("{name} needs a value"))
        };
        match name {
            "--help" | "-h" if attached.is_none() => return Ok(Request::Help),
            "--" if attached.is_none() => options_may_follow = false,
            "--changed" => changed = Some(PathBuf::from(value()?)),
            "--depth" => depth = number(name, &value()?)?,
            "--top" => top = number(name, &value()?)?,
            _ => return Err(format!("{} is no option", shown(&arg))),
        }
    }
    let dir = dir.ok_or("which directory?")?;
    Ok(Request::Count(Args { dir, changed, depth, top }))
}

fn number(option: &str, value: &OsStr) -> Result<usize, String> {
    let number = value.to_str().and_then(|text| text.parse().ok());
    number.ok_or_else(|| format!("{option} {} is not a number", shown(value)))
}

fn shown(arg: &OsStr) -> String {
    format!("{:?}", arg.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Request, String> {
        parse(args.iter().map(OsString::from))
    }

    fn counted(args: &[&str]) -> Args {
        match parsed(args) {
            Ok(Request::Count(args)) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_directory_is_enough() {
        let args = counted(&["src"]);
        let expected = Args {
            dir: PathBuf::from("src"),
            changed: None,
            depth: DEFAULT_DEPTH,
            top: DEFAULT_TOP,
        };
        assert_eq!(args, expected);
    }

    #[test]
    fn options_stand_anywhere_with_their_value_attached_or_next() {
        let args = counted(&["--depth", "7", "src", "--top=0", "--changed", "-odd=name"]);
        assert_eq!((args.depth, args.top), (7, 0));
        assert_eq!(args.changed, Some(PathBuf::from("-odd=name")));
    }

    #[test]
    fn two_dashes_end_the_options() {
        assert_eq!(counted(&["--", "--help"]).dir, PathBuf::from("--help"));
    }

    #[test]
    fn help_is_asked_for_before_anything_else_is_wrong() {
        assert_eq!(parsed(&["--help"]), Ok(Request::Help));
        assert_eq!(parsed(&["a", "-h", "b"]), Ok(Request::Help));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (args, word) in [
            (&[][..], "directory"),
            (&["a", "b"], "\"b\""),
            (&["a", "--depth"], "--depth needs"),
            (&["a", "--depth", "-1"], "\"-1\""),
            (&["a", "--top", "99999999999999999999"], "not a number"),
            (&["a", "--deep", "1"], "\"--deep\""),
            (&["a", "--help=x"], "no option"),
        ] {
            let error = parsed(args).unwrap_err();
            assert!(error.contains(word), "{args:?}: {error}");
        }
    }
}
