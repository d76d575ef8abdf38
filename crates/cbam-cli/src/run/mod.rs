//! `cbam-run`: where a convolutional network looks, laid over the picture.

pub(crate) mod args;
mod check;
mod clash;
mod console;
mod effect;
mod film;
mod interrupt;
mod json;
mod model;
mod plan;
mod request;
#[cfg(feature = "parquet")]
mod shards;
mod share;
mod told;

use std::sync::atomic::Ordering;

use anyhow::Result;
use cbam_core::classes::read_labels;
use cbam_core::pipeline::{self, Options};

use crate::backend::Backend;
use crate::common::network::open;
use crate::common::{self, Called, printed, status};

use args::Args;
use console::Console;
use request::{Command, Request};

/// Runs the program, and ends the process.
pub fn main(backend: &dyn Backend, called: &Called) -> ! {
    common::end(execute(backend, common::arguments::<Args>(backend, called, interrupt::asked)))
}

/// The exit status.
fn execute(backend: &dyn Backend, args: Args) -> Result<u8> {
    match args.resolve()? {
        Command::ListMaps(model) => Ok(printed(&model::list_maps(backend, &model)?)),
        Command::Check { model, reference, tolerance, quiet } => {
            let note = |line: &str| {
                if !quiet {
                    common::say(line);
                }
            };
            let verdict = check::check(backend, &model, &reference, tolerance, &note)?;
            let printed = printed(&verdict.text);
            Ok(if verdict.agrees { printed } else { status::FAILED })
        }
        #[cfg(feature = "parquet")]
        Command::Shards(request) => shards::run(backend, &request),
        Command::Film(request) => film::run(backend, &request),
        Command::Run(request) => run(backend, &request),
    }
}

fn run(backend: &dyn Backend, request: &Request) -> Result<u8> {
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
        let load = || open(backend, &request.model, &note);
        pipeline::run(&plan.jobs, &options, load, cancel, |event| console.tell(event))?;
    }
    Ok(console.finish(cancel.load(Ordering::Relaxed)))
}
