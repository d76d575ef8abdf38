//! `cbam-run`: where a convolutional network looks, laid over the picture.

mod args;
mod clash;
#[path = "../common/mod.rs"]
mod common;
mod console;
mod effect;
mod interrupt;
mod json;
mod model;
mod plan;
mod request;
mod scan;
mod told;

use std::sync::atomic::Ordering;

use anyhow::Result;
use cbam::pipeline::{self, Options};
use cbam::weights::read_labels;

use args::Args;
use console::Console;
use request::{Command, Request};

fn main() {
    let status = execute(common::arguments::<Args>()).unwrap_or_else(|error| match error.downcast::<clap::Error>() {
        Ok(usage) => common::leave(&usage),
        Err(error) => console::fail(&error),
    });
    cbam::sys::exit(status)
}

/// The exit status.
fn execute(args: Args) -> Result<u8> {
    match args.resolve()? {
        Command::ListMaps(model) => console::print(&model::list_maps(&model)?)?,
        Command::Run(request) => return run(&request),
    }
    Ok(0)
}

fn run(request: &Request) -> Result<u8> {
    let mut plan = plan::plan(request)?;
    plan.read_stdin(&request.options.limits)?;
    let cancel = interrupt::flag()?;
    request.check_labels(plan.jobs.len())?;
    let mut console = Console::new(request, plan.jobs.len(), cancel)?;
    let note = console.notes();
    plan.notes.iter().for_each(|line| note(line));
    plan.problems.iter().for_each(|problem| console.problem(problem));
    if !plan.jobs.is_empty() {
        let labels = request.labels.as_ref().map(read_labels).transpose()?;
        let options = Options { labels, ..request.options.clone() };
        let load = || model::open(&request.model, &note);
        pipeline::run(&plan.jobs, &options, load, cancel, |event| console.tell(event))?;
    }
    console.finish(cancel.load(Ordering::Relaxed))
}
