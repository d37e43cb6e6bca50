//! The users that `LAYOUT.md` describes, with no more permissions than are needed.

/// The command that makes the user with this name, and the text that follows it.
pub(crate) fn user(name: &str) -> (&'static str, &'static str) {
    let layout = include_str!("../../LAYOUT.md");
    let begin = layout.find(&format!("ACL SETUSER {name}")).expect("the user of LAYOUT.md");
    layout[begin..].split_once("```").expect("the end of the block")
}
