//! The page's file, and the files beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::facts::{Entry, Place, facts, in_script};
use super::web::{self, Kind, PICTURES, PICTURES_BESIDE, Part, escaped};
use super::{PageHead, PagePicture, PageSubject};
use crate::files::{WholeFile, write_whole};
use crate::maps::ScaleLimits;
use crate::text::printable;
use crate::{Error, Result};

/// Pages of more bytes than this have a file for each picture beside them.
const MOST_TOGETHER: u64 = 150_000_000;

/// A page in the making: pictures come one after another, and the file is written in the end, whole or not at all.
#[derive(Debug)]
pub struct PageWriter {
    path: PathBuf,
    /// As long as it is not written, nobody sees it.
    file: WholeFile,
    head: PageHead,
    subject: Option<Arc<PageSubject>>,
    /// All pictures' data, one after another.
    spool: BufWriter<File>,
    entries: Vec<Entry>,
    spans: BTreeMap<String, ScaleLimits>,
    most_together: u64,
}

impl PageWriter {
    /// Begins the page `path`.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written there, or there is no room for temporary files.
    pub fn create(path: &Path, head: PageHead) -> Result<Self> {
        let spool = tempfile::tempfile().map_err(spool_error)?;
        Ok(Self {
            path: path.to_owned(),
            file: WholeFile::create(path)?,
            head,
            subject: None,
            spool: BufWriter::new(spool),
            entries: Vec::new(),
            spans: BTreeMap::new(),
            most_together: MOST_TOGETHER,
        })
    }

    /// With parts beside it from so many bytes on.
    #[cfg(test)]
    pub(super) fn at_most(self, bytes: u64) -> Self {
        Self { most_together: bytes, ..self }
    }

    /// The next picture.
    ///
    /// # Errors
    /// [`Error::Io`] if there is no room for it.
    pub fn picture(&mut self, picture: PagePicture) -> Result<()> {
        let PagePicture { subject, index, maps, spans, json } = picture;
        let text = in_script(&json);
        self.spool.write_all(text.as_bytes()).map_err(spool_error)?;
        for (name, span) in spans {
            self.spans.entry(name).and_modify(|all| *all = all.union(span)).or_insert(span);
        }
        self.subject.get_or_insert(subject);
        self.entries.push(Entry::Picture { index: Box::new(index), maps, bytes: text.len() as u64 });
        Ok(())
    }

    /// A picture that failed, and why.
    pub fn failure(&mut self, name: &Path, error: &Error) {
        self.entries.push(Entry::Failure { name: name.display().to_string(), error: error.to_string() });
    }

    /// Writes the page, and the files of its pictures if together they are too large for one file.
    ///
    /// # Errors
    /// [`Error::Io`] if something cannot be written; what was written is taken away then.
    pub fn finish(self) -> Result<()> {
        let Self { path, mut file, head, subject, spool, entries, spans, most_together } = self;
        let mut spool = spool.into_inner().map_err(|error| spool_error(error.into_error()))?;
        spool.seek(SeekFrom::Start(0)).map_err(spool_error)?;
        let together: u64 = entries.iter().map(Entry::all_bytes).sum();
        let mut parts = (together > most_together && entries.len() > 1).then(|| Parts::beside(&path));
        let place = parts.as_ref().map_or(Place::Page, |parts| Place::Folder(parts.name()));
        let kind = if parts.is_some() { &PICTURES_BESIDE } else { &PICTURES };
        let facts = facts(&head, subject.as_deref(), &entries, &spans, place)?;
        let mut pictures = |file: &mut dyn Write| {
            for (index, bytes) in entries.iter().map(Entry::bytes).enumerate().filter(|(_, bytes)| *bytes > 0) {
                let mut data = String::new();
                (&mut spool).take(bytes).read_to_string(&mut data).map_err(spool_error)?;
                match &mut parts {
                    Some(parts) => parts.write(index, &data)?,
                    None => write_picture(file, index, &data).map_err(Error::io(&path))?,
                }
            }
            Ok(())
        };
        write(&mut file, &path, &head, (&title(&entries), &facts), kind, &mut pictures)?;
        file.commit()?;
        parts.map_or(Ok(()), Parts::commit)
    }
}

/// The page of one picture, as text; see [`PageWriter`].
///
/// # Errors
/// [`Error::Internal`] if the colours cannot be packed.
pub fn page(head: &PageHead, picture: PagePicture) -> Result<String> {
    let PagePicture { subject, index, maps, spans, json } = picture;
    let (data, name, spans) = (in_script(&json), index.name.clone(), spans.into_iter().collect());
    let entries = [Entry::Picture { index: Box::new(index), maps, bytes: data.len() as u64 }];
    let facts = facts(head, Some(&subject), &entries, &spans, Place::Page)?;
    let (mut text, path) = (Vec::new(), Path::new(&name));
    let mut picture = |to: &mut dyn Write| write_picture(to, 0, &data).map_err(Error::io(path));
    write(&mut text, path, head, (&title(&entries), &facts), &PICTURES, &mut picture)?;
    String::from_utf8(text).map_err(Error::internal)
}

/// Writes a page; `pictures` writes their data where it belongs.
pub(super) fn write(
    to: &mut dyn Write,
    path: &Path,
    head: &PageHead,
    (title, facts): (&str, &str),
    kind: &Kind,
    pictures: &mut dyn FnMut(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let policy = kind.policy();
    let title = escaped(title);
    let report = head.report.as_ref().map_or("", |report| &report.html);
    let values = [
        ("csp", &*policy),
        ("title", &title),
        ("style", kind.style),
        ("report", report),
        ("head", facts),
        ("script", kind.script),
        ("pictures", ""),
    ];
    for part in web::parts() {
        let text = match part {
            Part::Text(text) => text,
            Part::Place(place) => {
                let found = values.iter().find(|(name, _)| *name == place);
                found.ok_or_else(|| Error::internal(format!("the template has a place {place}")))?.1
            }
        };
        to.write_all(text.as_bytes()).map_err(Error::io(path))?;
        if matches!(part, Part::Place("pictures")) {
            pictures(to)?;
        }
    }
    Ok(())
}

/// Writes a picture's data.
pub(super) fn write_picture(to: &mut dyn Write, index: usize, data: &str) -> std::io::Result<()> {
    writeln!(to, "{}{data}</script>", opening(index))
}

/// What stands before a picture's data in the page.
fn opening(index: usize) -> String {
    format!("<script type=\"application/json\" class=\"picture\" data-index=\"{index}\">")
}

/// The files of pictures, in a folder beside the page.
#[derive(Debug)]
struct Parts {
    folder: PathBuf,
    written: BTreeSet<PathBuf>,
    done: bool,
}

impl Parts {
    /// In `NAME_files` beside `NAME.html`.
    fn beside(page: &Path) -> Self {
        let mut name = page.file_stem().unwrap_or_default().to_owned();
        name.push("_files");
        Self { folder: page.with_file_name(name), written: BTreeSet::new(), done: false }
    }

    /// The folder, as the page names it.
    fn name(&self) -> String {
        self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn write(&mut self, index: usize, data: &str) -> Result<()> {
        let path = self.folder.join(format!("{index}.js"));
        write_whole(&path, format!("cbamPicture({index},{data});\n").as_bytes())?;
        self.written.insert(path);
        Ok(())
    }

    /// Takes away what an older page of this name had and this one has not.
    fn commit(mut self) -> Result<()> {
        self.done = true;
        let of_page = |path: &Path| {
            let number =
                path.file_stem().is_some_and(|stem| stem.to_string_lossy().bytes().all(|c| c.is_ascii_digit()));
            number && path.extension().is_some_and(|extension| extension == "js")
        };
        for entry in fs::read_dir(&self.folder).map_err(Error::io(&self.folder))?.flatten() {
            let path = entry.path();
            if of_page(&path) && !self.written.contains(&path) {
                fs::remove_file(&path).map_err(Error::io(&path))?;
            }
        }
        Ok(())
    }
}

impl Drop for Parts {
    /// Without their page they are nothing.
    fn drop(&mut self) {
        if !self.done {
            self.written.iter().for_each(|path| drop(fs::remove_file(path)));
            let _ = fs::remove_dir(&self.folder); // unless something else is in it
        }
    }
}

/// What the page is called.
pub(super) fn title(entries: &[Entry]) -> String {
    match entries {
        [one] => {
            let name = Path::new(one.name());
            format!("{} · cbam", printable(&name.file_name().unwrap_or(name.as_os_str()).to_string_lossy()))
        }
        all => format!("{} pictures · cbam", all.len()),
    }
}

/// The file has no name: the folder that holds it is what can be full or out of reach.
pub(super) fn spool_error(error: std::io::Error) -> Error {
    Error::io(std::env::temp_dir())(error)
}
