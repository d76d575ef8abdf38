//! Completion scripts and manual pages, of every program alike.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command, value_parser};
use clap_complete::Shell;
use clap_mangen::Man;

/// The program's command line with the two options that print about it.
pub(crate) fn with_manual(command: Command) -> Command {
    let heading = "Other";
    let completions =
        Arg::new("completions").long("completions").value_name("SHELL").value_parser(value_parser!(Shell));
    let completions = completions.exclusive(true).help("Print a completion script and leave").help_heading(heading);
    let man_page = Arg::new("man_page").long("man-page").action(ArgAction::SetTrue).exclusive(true);
    command.arg(completions).arg(man_page.help("Print the manual page, as roff, and leave").help_heading(heading))
}

/// What these arguments ask to be printed about the program, if they do: a completion script or its manual page.
///
/// # Errors
/// That of a shell that is not known.
pub(crate) fn printed(command: &Command, arguments: &[OsString]) -> Result<Option<String>, clap::Error> {
    let first = arguments.get(1).and_then(|argument| argument.to_str()).unwrap_or_default();
    if !first.starts_with("--completions") && first != "--man-page" {
        return Ok(None);
    }
    // Alone they need no picture and no subcommand.
    let bare = Command::new(command.get_name().to_owned()).disable_help_subcommand(true);
    let matches = with_manual(bare).try_get_matches_from(arguments)?;
    let mut text = Vec::new();
    match matches.get_one::<Shell>("completions") {
        Some(shell) => clap_complete::generate(*shell, &mut command.clone(), command.get_name(), &mut text),
        None => drop(manual_page(command, &mut text)), // into memory, which takes all
    }
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}

/// The manual page, on which every subcommand has its own sections.
fn manual_page(command: &Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    let mut command = command.clone();
    command.build();
    Man::new(command.clone()).render(page)?;
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
        let name = subcommand.get_bin_name().unwrap_or(subcommand.get_name());
        page.extend_from_slice(format!(".SH \"{}\"\n", name.to_uppercase()).as_bytes());
        let manual = Man::new(subcommand.clone());
        manual.render_synopsis_section(page)?;
        manual.render_description_section(page)?;
        manual.render_options_section(page)?;
    }
    Ok(())
}
