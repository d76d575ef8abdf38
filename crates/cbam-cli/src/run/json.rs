//! The report: a JSON array with one object per picture, written as they come.

use std::io::{self, Stdout, Write};
use std::path::{Path, PathBuf};

use cbam_core::files::WholeFile;
use cbam_core::pipeline::{PictureReport, Target};
use cbam_core::{Error, Result};
use serde::Serialize;

use crate::common::json::printable;

/// A report being written. In a file it is whole or not there; on standard output it comes as the pictures do.
#[derive(Debug)]
pub(crate) struct Report {
    name: PathBuf,
    sink: Sink,
    /// Nothing else is asked for.
    alone: bool,
    entries: usize,
}

#[derive(Debug)]
enum Sink {
    File(WholeFile),
    Stdout(Stdout),
    /// Standard output, whose reader has gone away: who has seen enough.
    Gone,
}

/// The entry of a picture that failed.
#[derive(Serialize)]
struct Failure<'a> {
    input: &'a str,
    error: &'a str,
}

impl Report {
    /// Begins the report; `alone` if nothing else is asked for.
    pub(crate) fn create(target: &Target, alone: bool) -> Result<Self> {
        let (name, sink) = match target {
            Target::File(path) => (path.clone(), Sink::File(WholeFile::create(path)?)),
            Target::Stream(_) => ("standard output".into(), Sink::Stdout(io::stdout())),
        };
        Ok(Self { name, sink, alone, entries: 0 })
    }

    pub(crate) fn picture(&mut self, report: &PictureReport) -> Result<()> {
        self.entry(report)
    }

    pub(crate) fn film(&mut self, film: &impl Serialize) -> Result<()> {
        self.entry(film)
    }

    pub(crate) fn failure(&mut self, input: &Path, error: &Error) -> Result<()> {
        self.entry(&Failure { input: &input.display().to_string(), error: &error.to_string() })
    }

    /// Whether its reader has gone away, and with it the reason to go on.
    pub(crate) fn is_unread(&self) -> bool {
        self.alone && matches!(self.sink, Sink::Gone)
    }

    /// Ends the array, and gives a file its name.
    pub(crate) fn commit(mut self) -> Result<()> {
        let end = if self.entries == 0 { "[]\n" } else { "\n]\n" };
        self.write(end.as_bytes())?;
        match self.sink {
            Sink::File(file) => file.commit(),
            Sink::Stdout(_) | Sink::Gone => Ok(()),
        }
    }

    fn entry(&mut self, entry: &impl Serialize) -> Result<()> {
        let before = if self.entries == 0 { "[\n" } else { ",\n" };
        let text = serde_json::to_string(entry).map_err(|error| Error::io(&self.name)(error.into()))?;
        self.entries += 1;
        self.write(format!("{before}{}", printable(text)).as_bytes())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = match &mut self.sink {
            Sink::File(file) => file.write_all(bytes),
            Sink::Stdout(stdout) => stdout.write_all(bytes).and_then(|()| stdout.flush()),
            Sink::Gone => Ok(()),
        };
        match (written, &self.sink) {
            (Err(error), Sink::Stdout(_)) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.sink = Sink::Gone;
                Ok(())
            }
            (written, _) => written.map_err(Error::io(&self.name)),
        }
    }
}
