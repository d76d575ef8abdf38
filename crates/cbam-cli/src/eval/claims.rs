//! Which files are read and written: all are claimed before any work.

use std::path::{Component, Path, PathBuf};

use cbam_core::eval::ScoreCache;
use cbam_core::files::{check_folder, check_writable};
use cbam_core::{Error, Result};

use crate::common::claims::Claims;
use crate::eval::args::Cli;
use crate::eval::chosen::Row;
use crate::eval::study::Study;

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

impl Study<'_> {
    /// Claims the files of all maps that are saved.
    ///
    /// # Errors
    /// [`Error::Argument`] if one would be written over another file.
    pub(crate) fn claim(&self, claims: &mut Claims, rows: &[Row]) -> Result<()> {
        for folder in self.folders.iter().flatten() {
            for row in rows {
                let written = claims.write("--maps-dir", &map_file(folder, &row.image));
                written.map_err(|message| Error::argument("--maps-dir", message))?;
            }
        }
        Ok(())
    }
}

/// Where the map of a picture goes: to its place in the tree of the pictures, as `.npy`.
pub(crate) fn map_file(folder: &Path, image: &str) -> PathBuf {
    let below = Path::new(image).components().filter(|part| matches!(part, Component::Normal(_)));
    folder.join(below.collect::<PathBuf>()).with_extension("npy")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_map_leaves_its_folder() {
        for (image, file) in
            [("a.jpg", "m/a.npy"), ("x/b.c.png", "m/x/b.c.npy"), ("../../etc/c", "m/etc/c.npy"), ("/d.jpg", "m/d.npy")]
        {
            assert_eq!(map_file(Path::new("m"), image), Path::new(file));
        }
    }
}
