//! `cbam-run`: where a convolutional network looks, laid over the picture.
#![deny(clippy::print_stdout, clippy::print_stderr)]

#[path = "../common/amount.rs"]
mod amount;
mod args;
mod check;
mod clash;
#[path = "../common/mod.rs"]
mod common;
mod console;
#[path = "../common/doubts.rs"]
mod doubts;
#[path = "../common/duration.rs"]
mod duration;
mod effect;
#[path = "../common/foreign.rs"]
mod foreign;
#[path = "../common/given.rs"]
mod given;
mod interrupt;
mod json;
mod model;
#[path = "../common/opening.rs"]
mod opening;
mod plan;
#[path = "../common/json.rs"]
mod printable_json;
mod request;
mod scan;
mod told;
#[path = "../common/values.rs"]
mod values;

use std::sync::atomic::Ordering;

use anyhow::Result;
use cbam::classes::read_labels;
use cbam::pipeline::{self, Options};

use args::Args;
use common::{printed, status};
use console::Console;
use request::{Command, Request};

fn main() {
    common::end(execute(common::arguments::<Args>(interrupt::asked)))
}

/// The exit status.
fn execute(args: Args) -> Result<u8> {
    match args.resolve()? {
        Command::ListMaps(model) => Ok(printed(&model::list_maps(&model)?)),
        Command::Check { model, reference, tolerance, quiet } => {
            let note = |line: &str| {
                if !quiet {
                    common::say(line);
                }
            };
            let verdict = check::check(&model, &reference, tolerance, &note)?;
            let printed = printed(&verdict.text);
            Ok(if verdict.agrees { printed } else { status::FAILED })
        }
        Command::Run(request) => run(&request),
    }
}

fn run(request: &Request) -> Result<u8> {
    let mut plan = plan::plan(request)?;
    request.check_outputs()?;
    plan.read_stdin(&request.options.limits)?;
    request.check_labels(plan.jobs.len())?;
    let cancel = interrupt::flag();
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
    Ok(console.finish(cancel.load(Ordering::Relaxed)))
}
