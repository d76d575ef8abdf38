//! The page's file, and the files beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use ndarray::Array2;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::picture::Index;
use super::web::{SCRIPT, STYLE, TEMPLATE};
use super::{PageHead, PagePicture, PageSubject, VERSION};
use crate::classes::Outputs;
use crate::files::{WholeFile, write_whole};
use crate::maps::{Scale, ScaleLimits};
use crate::render::{Colormap, Opacity, Overlay};
use crate::text::printable;
use crate::{Error, Result};

/// Pages of more bytes than this have a file for each picture beside them.
const MOST_TOGETHER: u64 = 150_000_000;
/// How many colours a table has.
const COLOURS: usize = 1024;

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

#[derive(Debug)]
enum Entry {
    Picture { index: Box<Index>, map: Option<(Array2<f32>, ScaleLimits)>, bytes: u64 },
    Failure { name: String, error: String },
}

impl PageWriter {
    /// Begins the page `path`.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written there, or there is no room for temporary files.
    pub fn create(path: &Path, head: PageHead) -> Result<Self> {
        let spool = tempfile::tempfile().map_err(Error::io(std::env::temp_dir()))?;
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
        let PagePicture { subject, index, map, spans, json } = picture;
        let text = in_script(&json);
        self.spool.write_all(text.as_bytes()).map_err(spool_error)?;
        for (name, span) in spans {
            self.spans.entry(name).and_modify(|all| *all = all.union(span)).or_insert(span);
        }
        self.subject.get_or_insert(subject);
        self.entries.push(Entry::Picture { index: Box::new(index), map, bytes: text.len() as u64 });
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
        let together: u64 = entries.iter().map(Entry::bytes).sum();
        let mut parts = (together > most_together && entries.len() > 1).then(|| Parts::beside(&path));
        let facts = facts(&head, subject.as_deref(), &entries, &spans, parts.as_ref())?;
        let script_of = |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)));
        let dynamic = if parts.is_some() { " 'strict-dynamic'" } else { "" };
        let policy = format!(
            "default-src 'none'; script-src {}{dynamic}; style-src {}; img-src data: blob:; base-uri 'none'; form-action 'none'",
            script_of(SCRIPT),
            script_of(STYLE)
        );
        let title = escaped(&title(&entries));
        let values = [("csp", &*policy), ("title", &*title), ("style", STYLE), ("head", &*facts), ("script", SCRIPT)];
        let mut rest = TEMPLATE;
        for (name, value) in values {
            let (before, after) = halves(rest, name)?;
            file.write_all(before.as_bytes())
                .and_then(|()| file.write_all(value.as_bytes()))
                .map_err(Error::io(&path))?;
            rest = after;
        }
        let (before, after) = halves(rest, "pictures")?;
        file.write_all(before.as_bytes()).map_err(Error::io(&path))?;
        for (index, bytes) in entries.iter().map(Entry::bytes).enumerate().filter(|(_, bytes)| *bytes > 0) {
            let mut data = String::new();
            let read = (&mut spool).take(bytes).read_to_string(&mut data);
            read.map_err(spool_error)?;
            match &mut parts {
                Some(parts) => parts.write(index, &data)?,
                None => {
                    writeln!(
                        file,
                        "<script type=\"application/json\" class=\"picture\" data-index=\"{index}\">{data}</script>"
                    )
                    .map_err(Error::io(&path))?;
                }
            }
        }
        file.write_all(after.as_bytes()).map_err(Error::io(&path))?;
        file.commit()?;
        parts.map_or(Ok(()), Parts::commit)
    }
}

impl Entry {
    /// How many bytes the picture's data has.
    fn bytes(&self) -> u64 {
        match self {
            Self::Picture { bytes, .. } => *bytes,
            Self::Failure { .. } => 0,
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Picture { index, .. } => &index.name,
            Self::Failure { name, .. } => name,
        }
    }
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

/// What a page without pictures says, as JSON.
pub(super) fn facts_alone(head: &PageHead, subject: &PageSubject) -> Result<String> {
    facts(head, Some(subject), &[], &BTreeMap::new(), None)
}

/// What a page says once, as JSON.
fn facts(
    head: &PageHead,
    subject: Option<&PageSubject>,
    entries: &[Entry],
    spans: &BTreeMap<String, ScaleLimits>,
    parts: Option<&Parts>,
) -> Result<String> {
    let nothing = PageSubject {
        maps: Vec::new(),
        labels: Vec::new(),
        outputs: Outputs::default(),
        class: None,
        scale: Scale::Image,
    };
    let subject = subject.unwrap_or(&nothing);
    let first = subject.maps.first().map(ToString::to_string).unwrap_or_default();
    let span = spans.get(&first).copied().filter(|_| subject.scale == Scale::Run);
    let pictures = entries.iter().map(|entry| listed(entry, span)).collect::<Result<Vec<_>>>()?;
    let compared = |entry: &Entry| matches!(entry, Entry::Picture { index, .. } if index.disagreement.is_some());
    let compared = entries.is_empty() || entries.iter().any(compared); // of none yet, there may be some
    let spans = (subject.scale == Scale::Run).then(|| {
        let pairs = spans.iter().map(|(name, span)| (name.clone(), json!([span.low, span.high])));
        pairs.collect::<serde_json::Map<String, Value>>()
    });
    let overlay = &head.overlay;
    let facts = json!({
        "format": "cbam-page",
        "version": VERSION,
        "made": { "program": head.program, "date": head.date },
        "command": head.command,
        "network": { "name": head.network, "labels": subject.labels, "outputs": subject.outputs },
        "look": {
            "maps": strings(&subject.maps),
            "colormap": overlay.colormap.name(),
            "alpha": overlay.alpha,
            "opacity": overlay.opacity.name(),
            "resample": overlay.resample.name(),
            "scale": subject.scale.to_string(),
            "contour": overlay.contour,
            "class": subject.class,
        },
        "usual": {
            "colormap": Colormap::default().name(),
            "alpha": {
                Opacity::Attention.name(): Overlay::default().alpha,
                Opacity::Constant.name(): Overlay::constant().alpha,
            },
            "opacity": Opacity::default().name(),
            "resample": Overlay::default().resample.name(),
            "scale": Scale::default().to_string(),
        },
        "spans": spans,
        "colours": { "names": Colormap::ALL.map(Colormap::name), "count": COLOURS, "tables": colours()? },
        "split": parts.map(Parts::name),
        "disagreement": subject.disagreement().filter(|_| compared).map(|pair| strings(&pair)),
        "pictures": pictures,
    });
    Ok(in_script(&facts.to_string()))
}

fn strings(names: &[crate::maps::MapName]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// What the page's list says of a picture; `span` is what its map spans, if not values of its own.
fn listed(entry: &Entry, span: Option<ScaleLimits>) -> Result<Value> {
    match entry {
        Entry::Failure { name, error } => Ok(json!({ "name": name, "error": error })),
        Entry::Picture { index, map, .. } => listed_picture(index, map.as_ref(), span),
    }
}

/// The same of a picture that did not fail.
pub(super) fn listed_picture(
    index: &Index,
    map: Option<&(Array2<f32>, ScaleLimits)>,
    span: Option<ScaleLimits>,
) -> Result<Value> {
    #[derive(Serialize)]
    struct Listed<'a> {
        #[serde(flatten)]
        index: &'a Index,
        map: Option<Value>,
    }
    let map = map.map(|(values, limits)| {
        let limits = span.unwrap_or(*limits);
        let codes: Vec<u8> = values.iter().map(|value| (limits.apply(*value) * 255.0 + 0.5) as u8).collect();
        json!({ "grid": [values.nrows(), values.ncols()], "values": BASE64_STANDARD.encode(codes) })
    });
    serde_json::to_value(Listed { index, map }).map_err(Error::internal)
}

/// The colours of every colour map, in the order of their names.
fn colours() -> Result<String> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
    for colormap in Colormap::ALL {
        let table: [[u8; 3]; COLOURS] = colormap.table();
        packed.write_all(table.as_flattened()).map_err(Error::internal)?;
    }
    Ok(BASE64_STANDARD.encode(packed.finish().map_err(Error::internal)?))
}

fn title(entries: &[Entry]) -> String {
    match entries {
        [one] => {
            let name = Path::new(one.name());
            format!("{} · cbam", printable(&name.file_name().unwrap_or(name.as_os_str()).to_string_lossy()))
        }
        all => format!("{} pictures · cbam", all.len()),
    }
}

/// What stands before and behind a place of the template.
fn halves<'t>(text: &'t str, place: &str) -> Result<(&'t str, &'t str)> {
    let missing = || Error::internal(format!("the template lacks {place}"));
    text.split_once(&format!("{{{{{place}}}}}")).ok_or_else(missing)
}

/// JSON in which nothing ends a script.
fn in_script(json: &str) -> String {
    json.replace('<', "\\u003c")
}

/// Text in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The file has no name: the folder that holds it is what can be full or out of reach.
fn spool_error(error: std::io::Error) -> Error {
    Error::io(Path::new(&std::env::temp_dir()))(error)
}
