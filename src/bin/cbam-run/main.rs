//! `cbam-run`: where a convolutional network looks, laid over the picture.

mod args;
mod check;
#[path = "../common/mod.rs"]
mod common;
mod console;
mod interrupt;
mod json;
mod model;
mod plan;
mod request;
mod scan;

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
        Command::Completions(shell) => console::print(&args::completions(shell))?,
        Command::ListMaps(model) => console::print(&model::list_maps(&model)?)?,
        Command::Check { model, reference, tolerance } => {
            let verdict = check::check(&model, &reference, tolerance)?;
            console::print(&verdict.text)?;
            return Ok(u8::from(!verdict.agrees));
        }
        Command::Run(request) => return run(&request),
    }
    Ok(0)
}

fn run(request: &Request) -> Result<u8> {
    let mut plan = plan::plan(request)?;
    plan.read_stdin(&request.options.limits)?;
    let cancel = interrupt::flag()?;
    let mut console = Console::new(request, plan.jobs.len(), cancel)?;
    plan.problems.iter().for_each(|problem| console.problem(problem));
    if !plan.jobs.is_empty() {
        let labels = request.labels.as_ref().map(read_labels).transpose()?;
        let options = Options { labels, ..request.options.clone() };
        let load = || model::open(&request.model);
        pipeline::run(&plan.jobs, &options, load, cancel, |event| console.tell(event))?;
    }
    console.finish(cancel.load(Ordering::Relaxed))
}
