//! `region completions` and `region man`: what packagers install beside the program.

use std::io::Write;
use std::path::Path;

use clap_complete::Shell;

use crate::args::command;
use crate::exit::{Code, Failure};
use crate::output::Output;

/// The name of the program.
const NAME: &str = "region";

pub(crate) fn completions(shell: Shell, output: Output) -> Result<Code, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), NAME, &mut script);
    output.write(&script)?;
    Ok(Code::Done)
}

pub(crate) fn man(folder: Option<&Path>, output: Output) -> Result<Code, Failure> {
    match folder {
        Some(folder) => {
            let written = clap_mangen::generate_to(command(), folder);
            written.map_err(|error| Failure::wrong(format!("{}: {error}", folder.display())))?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command()).render(&mut page)?;
            page.flush()?;
            output.write(&page)?;
        }
    }
    Ok(Code::Done)
}
