//! What every kind of training is told: where it saves, how it goes on, what it runs on.

use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cbam::files::check_writable;
use cbam::sys::DeviceSpec;
use cbam::text::printable_path;
use cbam::train::{ComputePrecision, RunOptions};
use cbam_core::Error;
use clap::Args;

use crate::args::whole;
use crate::progress::Progress;
use cbam_cli::common::claims::Claims;
use cbam_cli::common::doubts::remedies;
use cbam_cli::common::values::listed;
use cbam_cli::common::{failed, print};

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Where to write the trained weights (safetensors)
    #[arg(long, value_name = "FILE", required = true)]
    out: Option<PathBuf>,
    /// Go on with an unfinished training from its checkpoint; everything else as it was given then
    #[arg(long, value_name = "FILE", help_heading = "Checkpoints and logs")]
    resume: Option<PathBuf>,
    /// Where to keep the state, for --resume; removed when the training is done [default: beside --out, as NAME.checkpoint.safetensors]
    #[arg(long, value_name = "FILE", conflicts_with = "resume", help_heading = "Checkpoints and logs")]
    checkpoint: Option<PathBuf>,
    /// Save the state after so many steps
    #[arg(long, value_parser = whole::<usize>, default_value_t = 100, value_name = "N", help_heading = "Checkpoints and logs")]
    checkpoint_every: usize,
    /// A folder of its own for logs: log.jsonl, a TensorBoard event file, panels of watched pictures
    #[arg(long, value_name = "DIR", help_heading = "Checkpoints and logs")]
    log_dir: Option<PathBuf>,
    /// Draw the attention on these pictures while the network learns [default: some held-out ones]
    #[arg(long, num_args = 1.., value_name = "PICTURE", requires = "log_dir", help_heading = "Checkpoints and logs")]
    watch: Vec<PathBuf>,
    /// Draw it after so many steps
    #[arg(long, value_parser = whole::<usize>, default_value_t = 100, value_name = "N", requires = "log_dir", help_heading = "Checkpoints and logs")]
    watch_every: usize,
    /// The seed of everything random
    #[arg(long, value_parser = whole::<u64>, default_value_t = 0, value_name = "SEED")]
    pub(crate) seed: u64,
    /// f32, or f16: mixed precision, on CUDA
    #[arg(long, default_value_t, value_name = "PRECISION", value_parser = listed::<ComputePrecision>(["f32", "f16"]), hide_possible_values = true)]
    precision: ComputePrecision,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value_t, value_name = "DEVICE", value_parser = listed::<DeviceSpec>(["auto", "cpu", "cuda"]), hide_possible_values = true)]
    device: DeviceSpec,
    /// Threads; all cores by default
    #[arg(long, value_name = "N", value_parser = cbam_cli::common::amount::threads)]
    threads: Option<NonZeroUsize>,
    /// No progress bar
    #[arg(long)]
    pub(crate) quiet: bool,
}

impl Run {
    /// Opens the device, bounds the threads and seeds libtorch. `read` are the files and folders that the training reads, by
    /// their options: nothing may be written over them.
    pub(crate) fn prepare(&self, read: &[(&str, &Path)]) -> Result<tch::Device> {
        // What cannot be written, or not as it is called, shows before the hours of work, not after.
        if let Some(out) = &self.out {
            if out.as_os_str() == "-" {
                let message = "weights cannot go to standard output: name a file .safetensors";
                return Err(Error::argument("--out", message).into());
            }
            let extension = out.extension().map(|extension| extension.to_string_lossy().into_owned());
            if let Some(extension) = extension.filter(|extension| !extension.eq_ignore_ascii_case("safetensors")) {
                let message =
                    format!("weights are written as safetensors, not as .{extension}; name a file .safetensors");
                return Err(Error::argument("--out", message).into());
            }
            self.claim(read, out)?;
        }
        let device = cbam::sys::resolve(self.device).map_err(|error| Error::from(error).advised(&remedies))?;
        cbam::sys::set_all_threads(self.threads).map_err(Error::from)?;
        tch::manual_seed(self.seed as i64);
        if let Some(out) = &self.out {
            check_writable(out)?;
        }
        Ok(device)
    }

    /// Claims every file that is read or written.
    fn claim(&self, read: &[(&str, &Path)], out: &Path) -> Result<()> {
        let mut claims = Claims::default();
        let watched = self.watch.iter().map(|path| ("--watch", path.as_path()));
        for (option, path) in read.iter().copied().chain(watched) {
            claims.read(option, path);
        }
        let checkpoint = if self.resume.is_some() { "--resume" } else { "--checkpoint" };
        let log = self.log_dir.as_ref().map(|folder| ("--log-dir", folder.join("log.jsonl")));
        for (option, path) in [("--out", out.to_owned()), (checkpoint, self.checkpoint(out))].into_iter().chain(log) {
            claims.write(option, &path).map_err(|message| Error::argument(option, message))?;
        }
        Ok(())
    }

    /// Where the trained weights go.
    ///
    /// # Errors
    /// If that was not said: the command line demands it where something is trained.
    pub(crate) fn out(&self) -> Result<&Path> {
        self.out.as_deref().context("--out FILE says where the trained weights go")
    }

    /// Where the state is kept, if anything is trained.
    pub(crate) fn state(&self) -> Option<PathBuf> {
        self.out.as_deref().map(|out| self.checkpoint(out))
    }

    fn checkpoint(&self, out: &Path) -> PathBuf {
        let given = self.resume.as_ref().or(self.checkpoint.as_ref());
        given.cloned().unwrap_or_else(|| beside(out))
    }

    pub(crate) fn options(&self, out: &Path) -> RunOptions {
        let options = RunOptions::default()
            .with_checkpoint(self.checkpoint(out), self.checkpoint_every)
            .with_watch(self.watch.clone(), self.watch_every)
            .with_precision(self.precision);
        let options = match &self.log_dir {
            Some(folder) => options.with_log_dir(folder),
            None => options,
        };
        match &self.resume {
            Some(path) => options.with_resume(path),
            None => options,
        }
    }

    /// Trains with `work` and saves what it returns to `out` with `save`, which gives the figures to print; the exit status.
    ///
    /// # Errors
    /// If nothing was trained: nothing is then left behind.
    pub(crate) fn train<T>(
        &self,
        out: &Path,
        progress: &mut Progress,
        work: impl FnOnce(&mut Progress) -> cbam_core::Result<T>,
        save: impl FnOnce(T) -> Result<String>,
    ) -> Result<u8> {
        let new = !self.checkpoint(out).exists();
        let trained = work(progress);
        progress.finish();
        match trained.map_err(|error| anyhow::Error::from(error.advised(&remedies))) {
            Ok(trained) => Ok(save(trained).map_or_else(failed, |figures| self.finish(out, &figures, progress))),
            Err(error) if matches!(error.downcast_ref(), Some(Error::Interrupted)) => Err(error),
            Err(error) if progress.has_begun() => Ok(failed(error)),
            Err(error) => {
                if new {
                    let _ = std::fs::remove_file(self.checkpoint(out)); // of no step: perhaps there is none
                }
                Err(error)
            }
        }
    }

    /// The weights are saved: the checkpoint has done its work. Prints the figures and where the weights are; the exit status.
    fn finish(&self, out: &Path, figures: &str, progress: &Progress) -> u8 {
        let removed = match std::fs::remove_file(self.checkpoint(out)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io(self.checkpoint(out))(error)),
            _ => Ok(()),
        };
        let printed = print(&format!("{figures}{}\n", printable_path(out)));
        let done = progress.status();
        removed.and(printed).map_or_else(failed, |()| done)
    }
}

/// `a/b.safetensors` → `a/b.checkpoint.safetensors`.
fn beside(out: &Path) -> PathBuf {
    out.with_extension("checkpoint.safetensors")
}
