//! Which files are read and written: all are claimed before any work.

use cbam_core::eval::ScoreCache;
use cbam_core::files::{check_folder, check_writable};
use cbam_core::study::Study;
use cbam_core::{Error, Result};

use crate::common::claims::Claims;
use crate::eval::args::Cli;

/// The files of a report, in its folder.
const REPORT: [&str; 4] = ["report.json", "scores.csv", "summary.csv", "report.html"];

impl Cli {
    /// Claims every file that is read or written, and makes sure that those can be, before any work.
    ///
    /// # Errors
    /// [`Error::Argument`] if one would be written over another, [`Error::Io`] if one cannot be written.
    pub(crate) fn claims(&self) -> Result<Claims> {
        let mut claims = Claims::default();
        claims.read("--images", &self.images);
        let read = [
            ("--truth", &self.truth),
            ("--weights", &self.weights),
            ("--torchscript", &self.foreign.torchscript),
            ("--graph", &self.foreign.graph),
            ("--labels", &self.labels),
            ("--backgrounds", &self.backgrounds),
        ];
        for (option, path) in read.into_iter().filter_map(|(option, path)| Some((option, path.as_ref()?))) {
            claims.read(option, path);
        }
        let report = self.report.iter().flat_map(|folder| REPORT.map(|name| ("--report", folder.join(name))));
        let cache = self.cache_folder().map(|folder| ("--cache", ScoreCache::file(&folder)));
        let json = self.json.clone().map(|path| ("--json", path));
        for (option, path) in json.into_iter().chain(report).chain(cache) {
            claims.write(option, &path).map_err(|message| Error::argument(option, message))?;
        }
        self.json.iter().filter(|_| !self.json_to_stdout()).try_for_each(|path| check_writable(path))?;
        self.report.iter().chain(&self.maps_dir).try_for_each(|folder| check_folder(folder))?;
        Ok(claims)
    }

    /// Whether the JSON is for standard output.
    pub(crate) fn json_to_stdout(&self) -> bool {
        self.json.as_ref().is_some_and(|path| path.as_os_str() == "-")
    }
}

/// Claims the files of all maps that are saved.
///
/// # Errors
/// [`Error::Argument`] if one would be written over another file.
pub(crate) fn claim_maps(claims: &mut Claims, study: &Study<'_>) -> Result<()> {
    for i in 0..study.subjects().len() {
        for file in study.pictures().rows.iter().filter_map(|row| study.map_file(i, &row.image)) {
            let written = claims.write("--maps-dir", &file);
            written.map_err(|message| Error::argument("--maps-dir", message))?;
        }
    }
    Ok(())
}
