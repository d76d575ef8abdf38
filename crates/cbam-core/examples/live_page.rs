//! Writes the live page in both forms: for a server, with the engine beside it, and as one file.
//!
//! usage: `live_page ENGINE.wasm PHOTO FOLDER`

use std::path::{Path, PathBuf};

use cbam_core::files::write_whole;
use cbam_core::render::page::{LiveEngine, live};
use cbam_core::{Error, Result};

const ENGINE: &str = "engine.wasm";

fn main() -> Result<()> {
    let words: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [engine, photo, folder] = &words[..] else {
        return Err(Error::argument("usage", "live_page ENGINE.wasm PHOTO FOLDER"));
    };
    let read = |path: &Path| std::fs::read(path).map_err(Error::io(path));
    let (engine, bytes) = (read(engine)?, read(photo)?);
    let name = photo.file_name().unwrap_or_default().to_string_lossy();
    let program = concat!("cbam-live ", env!("CARGO_PKG_VERSION"));
    let page = |engine| live(program, engine, (&name, &bytes));
    write_whole(&folder.join("index.html"), page(LiveEngine::Beside(ENGINE))?.as_bytes())?;
    write_whole(&folder.join(ENGINE), &engine)?;
    write_whole(&folder.join("cbam-live.html"), page(LiveEngine::Inside(&engine))?.as_bytes())
}
