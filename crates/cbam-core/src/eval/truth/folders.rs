//! Class folders: the folder that a picture lies in is its class.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::names::ClassNames;
use super::{NO_PICTURE, Object, Pictures, TruthRow};
use crate::eval::{RemarkKind, Remarks};

/// The rows of these pictures, which lie below `folder`; the class of each is the first of its folders that names one.
pub(super) fn read(
    files: &[PathBuf],
    folder: &Path,
    classes: &ClassNames,
    pictures: &Pictures<'_>,
    remarks: &mut Remarks,
) -> Vec<TruthRow> {
    let (mut rows, mut seen) = (Vec::new(), HashSet::new());
    for file in files {
        let below = file.strip_prefix(folder).unwrap_or(file);
        let Some(class) = class(below, classes) else {
            let inside = below.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let what = "pictures in a folder that is no class of the network's, left out, of folder";
            remarks.add(RemarkKind::Lost, what, inside.display());
            continue;
        };
        match pictures.find("", below) {
            Ok(image) if seen.insert(image.clone()) => {
                rows.push(TruthRow { image, class: Some(class), size: None, small: false, object: Object::Unknown });
            }
            Ok(image) => {
                remarks.add(RemarkKind::Lost, "pictures that the class folders have twice, the second left out", image);
            }
            Err(message) => remarks.add(RemarkKind::Lost, NO_PICTURE, message),
        }
    }
    rows
}

/// Whether the folders of all these files name classes.
pub(super) fn are_classes(files: &[PathBuf], folder: &Path, classes: &ClassNames) -> bool {
    let folders: HashSet<&Path> =
        files.iter().filter_map(|file| file.strip_prefix(folder).ok().and_then(Path::parent)).collect();
    !folders.is_empty() && folders.iter().all(|parent| class(&parent.join("picture"), classes).is_some())
}

fn class(below: &Path, classes: &ClassNames) -> Option<usize> {
    let mut folders = below.parent()?.iter();
    folders.find_map(|folder| classes.find_or_number(&folder.to_string_lossy()))
}
