//! Shell completions and manual pages, generated from the definitions of commands and options.

use std::path::Path;

use anyhow::Context as _;
use clap::Command;
use clap_complete::Shell;

/// The name of the program in completions and pages.
const NAME: &str = "netcore-webhooks";

/// A completion script. The shell's documentation says where it belongs.
pub fn completions(mut command: Command, shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, NAME, &mut script);
    script
}

/// The manual page of the whole command, which lists the commands, in roff.
///
/// # Errors
/// If it cannot be rendered.
pub fn page(command: Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.name(NAME)).render(&mut page)?;
    Ok(page)
}

/// Writes a page for the whole command and one for each of its commands: `netcore-webhooks-export.1`.
///
/// # Errors
/// If the folder cannot be written.
pub fn pages(command: Command, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command.name(NAME), folder))
        .with_context(|| format!("the pages cannot be written to {}", folder.display()))
}
