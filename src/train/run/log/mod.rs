//! What a training leaves behind to be read: `log.jsonl`, one line a step, and an event file for TensorBoard.

mod events;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::files::write_whole;
use crate::{Error, Result};
use events::Events;

const JSONL: &str = "log.jsonl";
/// The group of the figures that a training measures between its steps: whoever goes on measures them again.
pub(in crate::train) const VALIDATION: &str = "validation";

/// The logs of one training, in a folder of its own.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    jsonl: File,
    events: Events,
}

impl Log {
    /// Begins the logs in `folder`, or goes on with them after `step`: what they say of later steps, which a kill undid, is
    /// taken out, and so is the validation after `step` itself, which is made again.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if they cannot be written; [`ErrorKind::Argument`](crate::ErrorKind::Argument) if the
    /// folder holds the log of another training.
    pub(super) fn begin(folder: &Path, resumed: Option<usize>) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::io(folder))?;
        let path = folder.join(JSONL);
        match resumed {
            None if path.exists() => {
                let message = format!("{} is the log of another training: choose another folder", path.display());
                return Err(Error::argument("log-dir", message));
            }
            Some(step) if path.exists() => cut(&path, step)?,
            _ => {}
        }
        let jsonl = File::options().create(true).append(true).open(&path).map_err(Error::io(&path))?;
        Ok(Self { path, jsonl, events: Events::begin(folder, resumed)? })
    }

    /// Logs some figures of a step: in a line with the step, and under `GROUP/NAME` for TensorBoard. What is not finite is
    /// left out.
    pub(super) fn figures(&mut self, step: usize, group: &str, figures: &[(&str, f64)]) -> Result<()> {
        let finite = || figures.iter().filter(|(_, value)| value.is_finite());
        let own = [("step".to_owned(), Value::from(step)), ("group".to_owned(), Value::from(group))];
        let line: Map<_, _> =
            own.into_iter().chain(finite().map(|(name, value)| ((*name).to_owned(), Value::from(*value)))).collect();
        let line = format!("{}\n", Value::from(line));
        self.jsonl.write_all(line.as_bytes()).map_err(Error::io(&self.path))?;
        for (name, value) in finite() {
            self.events.scalar(step, &format!("{group}/{name}"), *value)?;
        }
        Ok(())
    }

    /// Logs a picture, a PNG of that width and height, for TensorBoard.
    pub(super) fn picture(&mut self, step: usize, name: &str, size: [u32; 2], png: &[u8]) -> Result<()> {
        self.events.picture(step, name, size, png)
    }
}

/// Takes out the lines of steps after `step`, the validation after it, and a last line that was not written to its end.
fn cut(path: &Path, step: usize) -> Result<()> {
    let text = fs::read_to_string(path).map_err(Error::io(path))?;
    let stays = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        let of = line.get("step")?.as_u64()?;
        Some(of < step as u64 || (of == step as u64 && line.get("group")? != VALIDATION))
    };
    let kept = text.split_inclusive('\n').filter(|line| line.ends_with('\n') && stays(line).unwrap_or(false));
    Ok(write_whole(path, kept.collect::<String>().as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_log_has_every_step_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::begin(folder.path(), None).unwrap();
        for step in 1..=3 {
            log.figures(step, "train", &[("loss", 1.5), ("rate", f64::NAN)]).unwrap();
        }
        for step in [2, 3] {
            log.figures(step, VALIDATION, &[("top1", 0.5)]).unwrap();
        }
        drop(log);
        assert!(Log::begin(folder.path(), None).unwrap_err().to_string().contains("log.jsonl"));
        let path = folder.path().join(JSONL);
        let half = fs::read_to_string(&path).unwrap() + "{\"step\":4,\"gro";
        fs::write(&path, half).unwrap();
        let mut log = Log::begin(folder.path(), Some(2)).unwrap();
        log.figures(3, "train", &[("loss", 0.5)]).unwrap();
        let lines: Vec<Value> =
            fs::read_to_string(&path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let steps: Vec<_> = lines.iter().map(|line| line["step"].as_u64().unwrap()).collect();
        assert_eq!(steps, [1, 2, 3]);
        assert_eq!((&lines[0]["loss"], &lines[0]["rate"], &lines[2]["loss"]), (&1.5.into(), &Value::Null, &0.5.into()));
    }
}
