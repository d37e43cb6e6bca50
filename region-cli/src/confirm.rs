//! The question before a destructive step.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::exit::Failure;

/// Asks whether to go on. Fails where nobody can answer.
pub(crate) fn confirm(question: &str) -> Result<(), Failure> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        let message = format!(
            "{question}\n  Nothing was done: there is no terminal to ask on. Confirm it by --yes."
        );
        return Err(Failure::usage(message));
    }
    match ask(question, &mut stdin.lock(), &mut io::stderr())? {
        Answer::Yes => Ok(()),
        Answer::No => Err(Failure::wrong("nothing was done")),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
}

/// Anything but a yes is a no, the end of the input too.
fn ask(question: &str, from: &mut impl BufRead, to: &mut impl Write) -> io::Result<Answer> {
    write!(to, "{question} [y/N] ")?;
    to.flush()?;
    let mut line = String::new();
    from.read_line(&mut line)?;
    let is_yes = ["y", "yes"].contains(&line.trim().to_ascii_lowercase().as_str());
    Ok(if is_yes { Answer::Yes } else { Answer::No })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for (line, expected) in [
            ("y\n", Answer::Yes),
            (" YES \n", Answer::Yes),
            ("n\n", Answer::No),
            ("\n", Answer::No),
            ("", Answer::No),
            ("yesterday\n", Answer::No),
        ] {
            let mut asked = Vec::new();
            let answer = ask("Go on?", &mut line.as_bytes(), &mut asked).unwrap();
            assert_eq!(answer, expected, "{line:?}");
            assert_eq!(asked, b"Go on? [y/N] ");
        }
    }
}
