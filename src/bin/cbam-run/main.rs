//! `cbam-run`: where a convolutional network looks, laid over the picture.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod check;
#[path = "../common/mod.rs"]
mod common;
mod console;
mod interrupt;
mod json;
mod model;
#[path = "../common/opening.rs"]
mod opening;
mod plan;
mod request;
mod scan;

use std::sync::atomic::Ordering;

use anyhow::Result;
use cbam::pipeline::{self, Options};
use cbam::weights::read_labels;

use args::Args;
use common::status;
use console::Console;
use request::{Command, Request};

fn main() {
    common::end(execute(common::arguments::<Args>(interrupt::asked)))
}

/// The exit status.
fn execute(args: Args) -> Result<u8> {
    match args.resolve()? {
        Command::Completions(shell) => Ok(printed(&args::completions(shell))),
        Command::ListMaps(model) => Ok(printed(&model::list_maps(&model)?)),
        Command::Check { model, reference, tolerance } => {
            let verdict = check::check(&model, &reference, tolerance)?;
            let printed = printed(&verdict.text);
            Ok(if verdict.agrees { printed } else { status::FAILED })
        }
        Command::Run(request) => run(&request),
    }
}

/// The exit status of a command that prints and does nothing else.
fn printed(text: &str) -> u8 {
    common::print(text).map_or_else(common::failed, |()| status::DONE)
}

fn run(request: &Request) -> Result<u8> {
    let mut plan = plan::plan(request)?;
    request.check_outputs()?;
    plan.read_stdin(&request.options.limits)?;
    let cancel = interrupt::flag();
    let mut console = Console::new(request, plan.jobs.len(), cancel)?;
    plan.problems.iter().for_each(|problem| console.problem(problem));
    if !plan.jobs.is_empty() {
        let labels = request.labels.as_ref().map(read_labels).transpose()?;
        let options = Options { labels, ..request.options.clone() };
        let load = || model::open(&request.model);
        pipeline::run(&plan.jobs, &options, load, cancel, |event| console.tell(event))?;
    }
    Ok(console.finish(cancel.load(Ordering::Relaxed)))
}
