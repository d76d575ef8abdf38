//! Which files a run will write: planned for all pictures before any work.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};

use cbam::Error;
use cbam::maps::MapName;
use cbam::photo::{LeftOut, Limits};
use cbam::pipeline::{Destination, Job, PictureFormat, Source, Target};
use cbam::text::printable_path;

use crate::args::usage;
use crate::clash;
use crate::request::{Outputs, Request, only_one};
use crate::scan::{Found, Picture, scan};

/// The work of a run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) jobs: Vec<Job>,
    /// Inputs that gave no picture.
    pub(crate) problems: Vec<Error>,
    /// What is worth knowing before the work: files left out, outputs in folders of their own.
    pub(crate) notes: Vec<String>,
}

/// Finds the pictures and gives each its output files.
///
/// Two outputs of one name, and outputs over inputs, are usage errors.
pub(crate) fn plan(request: &Request) -> Result<Plan, clap::Error> {
    let Outputs { overlay, panel, out_dir, panel_dir, maps_dir, beside, format } = &request.outputs;
    let folders: Vec<_> = [out_dir, panel_dir, maps_dir].into_iter().flatten().map(PathBuf::as_path).collect();
    clash::check_inputs(&request.inputs)?;
    let Found { mut pictures, problems, folders: walked } = scan(&request.inputs, &folders);
    let mut notes = left_out(&walked);
    let inputs: Vec<PathBuf> = walked.into_iter().map(|(folder, _)| folder).collect();
    if !inputs.is_empty() {
        for (option, given) in [("--overlay", overlay.is_some()), ("--panel", panel.is_some())] {
            if given {
                return Err(usage(only_one(option)));
            }
        }
    }
    let mut claims = Claims::default();
    for folder in [out_dir, panel_dir].into_iter().flatten() {
        if let Some(input) = inputs.iter().find(|input| claims.identity(input) == claims.identity(folder)) {
            return Err(usage(format!("{} is an input folder: pictures cannot be written into it", input.display())));
        }
    }
    for picture in &pictures {
        claims.input(&picture.path);
    }
    if let Some(Target::File(path)) = &request.json {
        claims.output(path, Path::new("--json"))?;
    }

    if (*beside || !folders.is_empty()) && clash::part(&mut pictures, &inputs, *beside)? {
        notes.push(
            "pictures of several folders have one name: the outputs of each folder are in a folder of its name".into(),
        );
    }
    let names = Names::new(&pictures, *beside);
    let mut jobs = Vec::with_capacity(pictures.len());
    for picture in pictures {
        let base = names.base(&picture);
        let in_folder = |folder: &PathBuf| file(append(&folder.join(&base), ".", format.extension()), *format);
        let mut overlay = overlay.clone().or_else(|| out_dir.as_ref().map(in_folder));
        if *beside {
            let kind = if request.options.compare { "-compare." } else { "-overlay." };
            overlay = Some(file(append(&base, kind, format.extension()), *format));
        }
        let panel = panel.clone().or_else(|| panel_dir.as_ref().map(in_folder));
        let maps: Vec<_> =
            maps_dir.iter().flat_map(|folder| map_files(&folder.join(&base), &request.options.maps)).collect();
        for path in [&overlay, &panel].into_iter().flatten().filter_map(path).chain(maps.iter().map(PathBuf::as_path)) {
            claims.output(path, &picture.path)?;
        }
        let source = Source::File(picture.path);
        jobs.push(Job { source, overlay, panel, maps });
    }
    Ok(Plan { jobs, problems, notes })
}

/// What the folders held that is left out, a line for each.
fn left_out(walked: &[(PathBuf, LeftOut)]) -> Vec<String> {
    let told = walked.iter().filter(|(_, left_out)| !left_out.is_empty());
    told.map(|(folder, left_out)| format!("{}: left out: {left_out}", printable_path(folder))).collect()
}

impl Plan {
    /// Reads standard input, if it is one of the pictures: the whole of it, up to the limit for a picture.
    pub(crate) fn read_stdin(&mut self, limits: &Limits) -> cbam::Result<()> {
        for job in &mut self.jobs {
            if job.source == Source::File("-".into()) {
                let mut bytes = Vec::new();
                let stdin = std::io::stdin().lock().take(limits.max_bytes.saturating_add(1)).read_to_end(&mut bytes);
                stdin.map_err(Error::io("standard input"))?;
                job.source = Source::Bytes { name: "-".into(), bytes: bytes.into() };
            }
        }
        Ok(())
    }
}

fn file(path: PathBuf, format: PictureFormat) -> Destination {
    Destination { target: Target::File(path), format }
}

fn path(destination: &Destination) -> Option<&Path> {
    match &destination.target {
        Target::File(path) => Some(path),
        Target::Stdout => None,
    }
}

/// `BASE.npy`, or `BASE.MAP.npy` for each of several maps.
fn map_files(base: &Path, maps: &[MapName]) -> Vec<PathBuf> {
    match maps {
        [] | [_] => vec![append(base, ".", "npy")],
        maps => maps.iter().map(|name| append(base, &format!(".{}.", file_part(name)), "npy")).collect(),
    }
}

/// A map's name without the characters that some file systems refuse: `spatial-stage5`, `patch-at-3-4`.
fn file_part(name: &MapName) -> String {
    name.to_string().replace('@', "-at-").replace([':', ',', '/'], "-")
}

fn append(base: &Path, join: &str, extension: &str) -> PathBuf {
    let mut path = OsString::from(base);
    path.push(join);
    path.push(extension);
    path.into()
}

/// The name of each picture's outputs, without extension: its stem, or its whole file name where two pictures have one
/// stem.
struct Names {
    beside: bool,
    stems: HashMap<PathBuf, usize>,
}

impl Names {
    fn new(pictures: &[Picture], beside: bool) -> Self {
        let mut names = Self { beside, stems: HashMap::with_capacity(pictures.len()) };
        for picture in pictures {
            *names.stems.entry(names.place(picture).with_extension("")).or_default() += 1;
        }
        names
    }

    /// Outputs beside the pictures are told apart by where the pictures are; others by where they lie in the mirror.
    fn place<'p>(&self, picture: &'p Picture) -> &'p Path {
        if self.beside { &picture.path } else { &picture.relative }
    }

    fn base(&self, picture: &Picture) -> PathBuf {
        let place = self.place(picture);
        let stem = place.with_extension("");
        if self.stems.get(&stem).is_some_and(|count| *count > 1) { place.to_owned() } else { stem }
    }
}

/// Which files are read and written, by where they really are.
#[derive(Default)]
struct Claims {
    /// Each with the picture that it is, or is written for.
    files: HashMap<PathBuf, (PathBuf, Use)>,
    parents: std::cell::RefCell<HashMap<PathBuf, PathBuf>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Use {
    Read,
    Written,
}

impl Claims {
    fn input(&mut self, path: &Path) {
        if path.as_os_str() != "-" {
            self.files.insert(self.identity(path), (path.to_owned(), Use::Read));
        }
    }

    fn output(&mut self, path: &Path, by: &Path) -> Result<(), clap::Error> {
        let identity = self.identity(path);
        let regular = !path.exists() || path.is_file() || path.is_dir(); // any number may go to a device
        match self.files.get(&identity) {
            Some((other, usage_of)) if regular => Err(usage(match usage_of {
                Use::Read => format!("{} would be written over the picture {}", path.display(), other.display()),
                Use::Written if other == by => {
                    format!("{} would be written twice for {}", path.display(), by.display())
                }
                Use::Written => {
                    format!("{} would be written for {} and for {}", path.display(), other.display(), by.display())
                }
            })),
            _ => {
                self.files.insert(identity, (by.to_owned(), Use::Written));
                Ok(())
            }
        }
    }

    /// One path for every name of a file, whether it exists or not.
    fn identity(&self, path: &Path) -> PathBuf {
        if let Ok(real) = path.canonicalize() {
            return real;
        }
        let parent = match path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => return path.to_owned(),
        };
        let mut parents = self.parents.borrow_mut();
        let real = parents.entry(parent.to_owned()).or_insert_with(|| real_folder(parent));
        real.join(path.file_name().unwrap_or(OsStr::new("..")))
    }
}

/// A folder's real path, with the part that does not exist yet as it is written.
fn real_folder(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let existing = absolute.ancestors().find_map(|ancestor| Some((ancestor, ancestor.canonicalize().ok()?)));
    match existing {
        Some((ancestor, real)) => match absolute.strip_prefix(ancestor) {
            Ok(rest) => real.join(rest),
            Err(_) => absolute.clone(),
        },
        None => absolute.clone(),
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
