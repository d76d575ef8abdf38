//! Which shards there are, which of them are this machine's, and the part that each is made into.

use std::path::{Path, PathBuf};

use cbam_core::photo::is_system;
use cbam_core::text::printable_path;
use walkdir::WalkDir;

use crate::common::claims::Claims;
use crate::run::args::usage;

/// A shard, and the part that is made of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) input: PathBuf,
    pub(super) output: PathBuf,
}

/// Finds the shards, in the order of the inputs, folders in the order of names.
///
/// # Errors
/// A usage error for what is no shard, and if two parts would have one name, or one that of a shard.
pub(super) fn plan(inputs: &[PathBuf], folder: &Path) -> Result<Vec<Planned>, clap::Error> {
    let mut planned = Vec::new();
    for input in inputs {
        if input.is_dir() {
            if folder.exists() && input.canonicalize().ok() == folder.canonicalize().ok() {
                let input = printable_path(input);
                return Err(usage(format!(
                    "{input} is an input folder: parts cannot be written into it, but below it"
                )));
            }
            let before = planned.len();
            for below in shards_below(input, folder)? {
                let output = folder.join(&below).with_extension("parquet");
                planned.push(Planned { input: input.join(below), output });
            }
            if planned.len() == before {
                return Err(usage(format!(
                    "{}: no tar archives and no Parquet files in this folder",
                    printable_path(input)
                )));
            }
        } else if is_shard(input) {
            let name = input.file_name().map(PathBuf::from).unwrap_or_default();
            planned.push(Planned { input: input.clone(), output: folder.join(name).with_extension("parquet") });
        } else if is_packed(input) {
            return Err(packed(input));
        } else {
            return Err(usage(format!(
                "{}: --out-parquet takes tar archives and Parquet files, by their extensions .tar and .parquet",
                printable_path(input)
            )));
        }
    }
    let mut claims = Claims::default();
    for part in &planned {
        claims.read("the shard", &part.input);
    }
    for part in &planned {
        claims.write(&part.input.to_string_lossy(), &part.output).map_err(usage)?;
    }
    Ok(planned)
}

/// The shards below a folder, by their paths there; parts that are made there are none.
fn shards_below(folder: &Path, parts: &Path) -> Result<Vec<PathBuf>, clap::Error> {
    let parts = parts.canonicalize().ok();
    let walk = WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter();
    let entered = walk.filter_entry(|entry| {
        let own = entry.depth() == 0 || !is_system(entry.file_name());
        own && (entry.depth() == 0 || parts.is_none() || entry.path().canonicalize().ok() != parts)
    });
    let mut found = Vec::new();
    for entry in entered {
        let entry = entry.map_err(|error| usage(format!("{}: {error}", printable_path(folder))))?;
        if entry.file_type().is_file() && is_packed(entry.path()) {
            return Err(packed(entry.path()));
        }
        if entry.file_type().is_file() && is_shard(entry.path()) {
            found.push(entry.path().strip_prefix(folder).unwrap_or(entry.path()).to_owned());
        }
    }
    Ok(found)
}

/// Whether a file's name is that of a shard.
fn is_shard(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ["tar", "parquet"].iter().any(|kind| extension.eq_ignore_ascii_case(kind)))
}

/// Whether a file's name is that of an archive that is compressed as a whole.
fn is_packed(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    ["tgz", "tar.gz", "tar.bz2", "tar.xz", "tar.zst"].iter().any(|kind| name.ends_with(&format!(".{kind}")))
}

fn packed(path: &Path) -> clap::Error {
    usage(format!("{}: compressed archives are not read: unpack it to a .tar", printable_path(path)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::common::scan::tests::tree;

    #[test]
    fn folders_give_their_shards_in_order() {
        let folder = tree(&["a/0.tar", "a/1.tar", "a/2.parquet", "a/3.TAR", "b.tar"]);
        let inputs = ["a", "b.tar"].map(|name| folder.path().join(name));
        let out = folder.path().join("out");
        let all = plan(&inputs, &out).unwrap();
        let names: Vec<_> = all.iter().map(|part| part.output.strip_prefix(&out).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["0.parquet", "1.parquet", "2.parquet", "3.parquet", "b.parquet"]);
    }

    #[test]
    fn a_folder_gives_its_shards_and_no_parts() {
        let files = ["x/0.tar", "x/y/1.parquet", "x/notes.txt", "x/.hidden/2.tar", "x/out/0.parquet", "empty/a.jpg"];
        let folder = tree(&files);
        let (x, out) = (folder.path().join("x"), folder.path().join("x/out"));
        let names = |planned: &[Planned]| {
            planned.iter().map(|part| part.output.strip_prefix(&out).unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            names(&plan(std::slice::from_ref(&x), &out).unwrap()),
            ["0.parquet", "y/1.parquet"].map(PathBuf::from)
        );
        let refused = |inputs: &[PathBuf]| plan(inputs, &out).unwrap_err().to_string();
        assert!(refused(&[folder.path().join("empty")]).contains("no tar archives"));
        assert!(refused(&[folder.path().join("empty/a.jpg")]).contains("takes tar archives and Parquet files"));
        let twice = [folder.path().join("x/0.tar"), folder.path().join("x/.hidden/../0.tar")];
        assert!(refused(&twice).contains("written"));
        let over = [folder.path().join("x/out/0.parquet")];
        assert!(refused(&over).contains("would be written over the shard"));
        assert!(plan(std::slice::from_ref(&x), &x).unwrap_err().to_string().contains("is an input folder"));
        fs::write(x.join("y/2.tar.gz"), "").unwrap();
        assert!(refused(&[x]).contains("2.tar.gz: compressed archives are not read"));
    }
}
