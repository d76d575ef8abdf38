//! `--out-parquet`: shards of pictures, tar archives or Parquet files, each made into a Parquet file of maps.
//!
//! A part is written under another name and gets its own when it is whole, so one that is there is done: a run that was ended in any way
//! goes on where it was.

mod identity;
mod part;
mod plan;
mod rows;
mod shard;
mod tar;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Result;
use cbam_core::classes::read_labels;
use cbam_core::files::check_folder;
use cbam_core::pipeline::{self, Event, Options, PictureReport};
use cbam_core::text::{printable, printable_path};
use cbam_core::{Error, model};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::backend::Backend;
use crate::common::duration::duration;
use crate::common::network::{Model, open, open_known};
use crate::common::{failed, print, say, status};
use crate::run::interrupt;
use crate::run::share::Share;
use crate::run::told::rate;

use identity::Identity;
use part::Part;
use plan::Planned;
use shard::Shard;

pub(crate) use shard::Columns;

/// About so many pictures go through one run of the pipeline, for which the network is opened once.
const TOGETHER: usize = 5_000;
/// Of so many shards at most: they are open meanwhile.
const OPEN: usize = 64;

/// A run over shards.
#[derive(Debug)]
pub(crate) struct Request {
    /// Shards, and folders of such.
    pub(crate) inputs: Vec<PathBuf>,
    /// Where parts go.
    pub(crate) folder: PathBuf,
    /// Which of the shards are this machine's.
    pub(crate) share: Option<Share>,
    /// Where pictures are in Parquet files.
    pub(crate) columns: Columns,
    pub(crate) options: Options,
    /// The names of the classes, one a line.
    pub(crate) labels: Option<PathBuf>,
    pub(crate) model: Model,
    pub(crate) quiet: bool,
}

pub(crate) fn run(backend: &dyn Backend, request: &Request) -> Result<u8> {
    let planned = plan::plan(&request.inputs, &request.folder)?;
    check_folder(&request.folder)?;
    let cancel = interrupt::flag();
    let own = |number: usize| request.share.is_none_or(|share| share.has(number));
    let bar = bar((0..planned.len()).filter(|number| own(*number)).count(), request.quiet);
    let note = |line: &str| {
        if !request.quiet {
            bar.suspend(|| say(line));
        }
    };
    let labels = request.labels.as_ref().map(read_labels).transpose()?;
    let options = Options { labels, ..request.options.clone() };
    // What parts are made with is said in them, and compared with what those say that are there: before any work.
    let (network, weights) = open_known(backend, &request.model, &note)?;
    let identity = Identity::of(&network.describe(), weights, request, &options)?;
    drop(network);
    let mut run = Run { request, identity, bar: &bar, cancel, made: 0, there: 0, count: Count::default() };
    let mut missing = VecDeque::new();
    for (number, planned) in planned.into_iter().enumerate() {
        let there = planned.output.exists();
        if there {
            run.identity.check(&planned)?; // other machines' parts too: they lie in one folder
        }
        match own(number) {
            true if there => run.there += 1,
            true => missing.push_back(planned),
            false => {}
        }
    }
    run.bar.inc(run.there as u64);
    let begun = Instant::now();
    while let Some(group) = run.next_group(&mut missing) {
        let load = || open(backend, &request.model, &|_| ());
        if let Err(error) = run.look(group, &options, load) {
            bar.finish_and_clear();
            return if run.made > 0 { Ok(failed(error)) } else { Err(error.into()) };
        }
        if cancel.load(Ordering::Relaxed) {
            bar.finish_and_clear();
            return Ok(failed(run.count.error.unwrap_or(Error::Interrupted)));
        }
    }
    bar.finish_and_clear();
    Ok(run.finish(begun))
}

fn bar(parts: usize, quiet: bool) -> ProgressBar {
    let bar = ProgressBar::new(parts as u64); // on standard error, if that is a terminal
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} parts {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    if quiet {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar
}

/// What became of pictures and shards.
#[derive(Debug, Default)]
struct Count {
    /// Pictures in parts, those that failed with them.
    pictures: usize,
    /// Of these, those that failed.
    failed: usize,
    /// Shards of which no part was made.
    broken: usize,
    /// What ends the run.
    error: Option<Error>,
}

struct Run<'a> {
    request: &'a Request,
    identity: Identity,
    bar: &'a ProgressBar,
    cancel: &'a AtomicBool,
    /// Parts made, and those that were there.
    made: usize,
    there: usize,
    count: Count,
}

impl Run<'_> {
    /// The next shards, about so many that their pictures are [`TOGETHER`]; `None` once there are no more.
    fn next_group(&mut self, missing: &mut VecDeque<Planned>) -> Option<VecDeque<(Planned, Shard)>> {
        let (mut group, mut pictures) = (VecDeque::new(), 0);
        while pictures < TOGETHER
            && group.len() < OPEN
            && let Some(planned) = missing.pop_front()
        {
            match Shard::open(&planned.input, &self.request.columns, &self.request.options.limits) {
                Ok(shard) => {
                    self.note(shard.notes.iter());
                    pictures += shard.jobs.len();
                    group.push_back((planned, shard));
                }
                Err(error) => self.break_off(&error),
            }
        }
        (!group.is_empty()).then_some(group)
    }

    fn note<'n>(&self, lines: impl Iterator<Item = &'n String>) {
        if !self.request.quiet {
            lines.for_each(|line| self.bar.suspend(|| say(line)));
        }
    }

    /// A shard of which no part is made.
    fn break_off(&mut self, error: &Error) {
        self.count.broken += 1;
        self.bar.inc(1);
        self.bar.suspend(|| say(error));
    }

    /// Looks at the pictures of some shards and makes their parts.
    fn look<M: model::Model>(
        &mut self,
        mut group: VecDeque<(Planned, Shard)>,
        options: &Options,
        load: impl FnOnce() -> cbam_core::Result<M> + Send,
    ) -> cbam_core::Result<()> {
        let jobs: Vec<_> = group.iter_mut().flat_map(|(_, shard)| std::mem::take(&mut shard.jobs)).collect();
        let cancel = self.cancel;
        let mut parts = Parts { run: self, group, open: None };
        parts.settle()?; // shards without a picture have a part all the same
        pipeline::run(&jobs, options, load, cancel, |event| {
            let Event::Done { outcome, .. } = event else { return };
            if parts.run.count.error.is_none()
                && let Err(error) = parts.put(outcome)
            {
                parts.run.count.error = Some(error);
                cancel.store(true, Ordering::Relaxed);
            }
        })
    }

    fn finish(self, begun: Instant) -> u8 {
        if !self.request.quiet {
            let line = told(&self, begun.elapsed().as_secs_f64());
            if let Err(error) = print(&format!("{}\n", printable(&line))) {
                return failed(error);
            }
        }
        if self.count.broken > 0 { status::FAILED } else { status::DONE }
    }
}

/// `12 parts made, 3 there already: 11988 pictures, 20 failed -> maps/ (95 s, 126/s)`
fn told(run: &Run<'_>, seconds: f64) -> String {
    let Count { pictures, failed, broken, .. } = run.count;
    let counted = |count: usize, of: &str| format!("{count} {of}{}", if count == 1 { "" } else { "s" });
    let there = if run.there > 0 { format!(", {} there already", run.there) } else { String::new() };
    let broken = if broken > 0 { format!(", none of {}", counted(broken, "broken shard")) } else { String::new() };
    let pace = if pictures > 0 { format!(", {}", rate(pictures as f64 / seconds.max(1e-3))) } else { String::new() };
    format!(
        "{} made{there}{broken}: {}, {failed} failed -> {}/ ({}{pace})",
        counted(run.made, "part"),
        counted(pictures, "picture"),
        printable_path(&run.request.folder).to_string().trim_end_matches('/'),
        duration(seconds)
    )
}

/// The parts of a group of shards, as the outcomes of their pictures come, one after the other.
struct Parts<'r, 'a> {
    run: &'r mut Run<'a>,
    /// The first of them is being made.
    group: VecDeque<(Planned, Shard)>,
    open: Option<Part>,
}

impl Parts<'_, '_> {
    fn put(&mut self, outcome: cbam_core::Result<PictureReport>) -> cbam_core::Result<()> {
        let Some((planned, shard)) = self.group.front_mut() else { return Ok(()) };
        let part = match &mut self.open {
            Some(part) => part,
            None => self.open.insert(Part::create(planned, &self.run.identity)?),
        };
        let Some(item) = shard.items.next() else { return Err(Error::internal("more pictures than the shard has")) };
        part.picture(&item, &outcome)?;
        self.settle()
    }

    /// Ends the parts all of whose pictures are in them.
    fn settle(&mut self) -> cbam_core::Result<()> {
        while self.group.front().is_some_and(|(_, shard)| shard.items.len() == 0)
            && let Some((planned, shard)) = self.group.pop_front()
        {
            let part = match self.open.take() {
                Some(part) => part,
                None => Part::create(&planned, &self.run.identity)?,
            };
            if let Some(message) = shard.broken.get() {
                self.run.break_off(&Error::photo(&planned.input, format!("{message}; no part is made of it")));
                continue;
            }
            if planned.output.exists() {
                self.run.identity.check(&planned)?; // somebody else has made it meanwhile
            }
            let (pictures, bad) = part.finish()?;
            if bad > 0 {
                let line = format!(
                    "{}: {bad} of {pictures} pictures failed: column \"error\" of {} says why",
                    printable_path(&planned.input),
                    printable_path(&planned.output)
                );
                self.run.note(std::iter::once(&line));
            }
            self.run.made += 1;
            self.run.count.pictures += pictures;
            self.run.count.failed += bad;
            self.run.bar.inc(1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::run::args::Args;
    use crate::run::request::Command;

    fn resolve(line: &str) -> Result<Command, clap::Error> {
        Args::try_parse_from(["cbam-run"].into_iter().chain(line.split_whitespace())).and_then(Args::resolve)
    }

    #[test]
    fn shards_give_parts_and_nothing_else() {
        let shards = |line: &str| match resolve(line) {
            Ok(Command::Shards(request)) => *request,
            other => panic!("{line}: {other:?}"),
        };
        let request =
            shards("a.tar b --out-parquet out --shard 3/8 --map patch --class tabby --image-column jpg --labels l.txt");
        assert_eq!(request.inputs, ["a.tar", "b"].map(PathBuf::from));
        assert_eq!((request.folder.to_str(), request.share), (Some("out"), Some("3/8".parse().unwrap())));
        assert_eq!((request.columns.image.as_deref(), request.columns.key), (Some("jpg"), None));
        assert_eq!(request.options.maps, ["patch".parse().unwrap()]);
        for (line, said) in [
            ("a.tar --out-parquet out --overlay o.png", "cannot be used with"),
            ("a.tar --out-parquet out --json r.json", "cannot be used with"),
            ("a.tar --out-parquet out --compare fused,patch", "cannot be used with"),
            ("a.tar --out-parquet out --colormap viridis", "--colormap has no effect"),
            ("a.tar --out-parquet out --legend", "--legend has no effect"),
            ("a.tar --out-parquet out --shard 8/8", "count from 0"),
            ("a.jpg --shard 0/8", "--out-parquet <DIR>"),
            ("a.jpg --image-column jpg", "--out-parquet <DIR>"),
        ] {
            let refused = resolve(line).unwrap_err().to_string();
            assert!(refused.contains(said), "{line}: {refused}");
        }
    }
}
