//! The live page: a page that has the network with it, as WebAssembly, and looks at the photos that are dropped into it.

use std::io::Write;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::VERSION;
use super::facts::in_script;
use super::web::{LIVE, LIVE_SCRIPT, LIVE_STYLE, Part, escaped, hash, parts};
use crate::{Error, Result};

/// Where the engine of a live page is: the crate `cbam-web` as WebAssembly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveEngine<'a> {
    /// In a file of this name beside the page, for a page that a server gives out.
    Beside(&'a str),
    /// In the page, which then is one file that opens from a disk.
    Inside(&'a [u8]),
    /// In the program that serves the page, which answers it as a [`LiveModel`](crate::live::LiveModel) does: `GET network` and
    /// `POST look`, below the page's own address.
    Serving,
}

/// The live page, as HTML. `program` is what made it, with its version, `example` a photo to try it with: its name and its file's bytes.
///
/// Its policy lets it ask nothing of any network but, with an engine beside it, for that, and a program that serves it.
///
/// # Errors
/// [`Error::Internal`] if the engine cannot be packed.
pub fn live(program: &str, engine: LiveEngine<'_>, example: (&str, &[u8])) -> Result<String> {
    let beside = match engine {
        LiveEngine::Beside(name) => Some(name),
        LiveEngine::Inside(_) | LiveEngine::Serving => None,
    };
    let head = json!({
        "format": "cbam-page",
        "version": VERSION,
        "live": { "engine": beside, "served": engine == LiveEngine::Serving, "program": program },
    });
    let mut data = held("example", ("data-name", example.0), example.1);
    if let LiveEngine::Inside(bytes) = engine {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(bytes).map_err(Error::internal)?;
        let packed = packed.finish().map_err(Error::internal)?;
        data += &held("engine", ("data-form", "gzip"), &packed);
    }
    let mut page = String::with_capacity(data.len() + LIVE_SCRIPT.len() + LIVE_STYLE.len() + (16 << 10));
    for part in parts() {
        match part {
            Part::Text(text) => page += text,
            Part::Place("csp") => page += &policy(engine),
            Part::Place("title") => page += "cbam: where a network looks",
            Part::Place("style") => page += LIVE_STYLE,
            Part::Place("report") => page += LIVE,
            Part::Place("head") => page += &in_script(&head.to_string()),
            Part::Place("script") => page += LIVE_SCRIPT,
            Part::Place("pictures") => page += &data,
            Part::Place(name) => return Err(Error::internal(format!("the template has a place {name}"))),
        }
    }
    Ok(page)
}

/// Bytes that the page holds, with one word about them.
fn held(id: &str, (name, value): (&str, &str), bytes: &[u8]) -> String {
    let (value, bytes) = (escaped(value), BASE64_STANDARD.encode(bytes));
    format!("<script type=\"application/octet-stream\" id=\"{id}\" {name}=\"{value}\">{bytes}</script>\n")
}

/// What the browser is told to allow: the page's own script and style, pictures and a camera's film that it holds, and what its engine
/// takes: to run as WebAssembly, in a worker that the page makes, or to be asked.
fn policy(engine: LiveEngine<'_>) -> String {
    let (run, worker) = match engine {
        LiveEngine::Serving => ("", ""),
        LiveEngine::Beside(_) | LiveEngine::Inside(_) => (" 'wasm-unsafe-eval'", "worker-src blob:; "),
    };
    let connect = if matches!(engine, LiveEngine::Inside(_)) { "'none'" } else { "'self'" };
    format!(
        "default-src 'none'; script-src {}{run}; style-src {}; img-src data: blob:; media-src blob:; {worker}connect-src {connect}; \
         base-uri 'none'; form-action 'none'",
        hash(LIVE_SCRIPT),
        hash(LIVE_STYLE)
    )
}
