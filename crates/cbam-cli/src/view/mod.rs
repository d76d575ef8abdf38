//! `cbam-view`: a page in the browser with the network behind it.
//!
//! Two threads: one has the network (`worker`), the other answers the browser (`site`).

pub(crate) mod args;
mod guard;
mod site;
mod worker;

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use cbam_core::Error;
use tokio::sync::{Notify, oneshot};

use crate::backend::Backend;
use crate::common::scan::{Found, left_out, scan};
use crate::common::start::stdout_is_open;
use crate::common::{self, Called, end_at_once, print, say, status};

use args::{Args, Request};
use guard::Doors;
use site::Site;

/// How long the thread of the network may take to notice that the program ends: it may be within one run of a large one.
const GRACE: Duration = Duration::from_secs(1);

static SERVING: AtomicBool = AtomicBool::new(false);
static ENDED: AtomicBool = AtomicBool::new(false);
static END: Notify = Notify::const_new();

/// Runs the program, and ends the process.
pub fn main(backend: &'static dyn Backend, called: &Called) -> ! {
    common::end(execute(backend, common::arguments::<Args>(backend, called, asked)))
}

/// A first request to end is how the program ends; before it serves, and a second time, it ends at once.
fn asked() {
    if !SERVING.load(Ordering::SeqCst) || ENDED.swap(true, Ordering::SeqCst) {
        end_at_once();
    }
    END.notify_one();
}

/// Whether the program is about to end.
fn ended() -> bool {
    ENDED.load(Ordering::SeqCst)
}

/// The exit status.
fn execute(backend: &'static dyn Backend, args: Args) -> Result<u8> {
    let request = args.resolve()?;
    if !request.browser && !stdout_is_open() {
        return Err(args::usage("--no-browser: standard output is closed, and nobody would see the address").into());
    }
    let (photos, browser, most) = (found(&request), request.browser, request.settings.limits.max_bytes);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, request.port))
        .with_context(|| format!("--port {}: cannot be listened on", request.port))?;
    let (ask, questions) = mpsc::channel();
    let (tell, opened) = oneshot::channel();
    let worker = thread::Builder::new().name("network".to_owned());
    let worker =
        worker.spawn(move || worker::work(backend, request, tell, questions)).map_err(Error::io("a thread"))?;
    let opened = opened.blocking_recv().context("the network's thread ended")??;
    let doors = Arc::new(Doors::new()?);
    let host = format!("http://{}", listener.local_addr().map_err(Error::io("127.0.0.1"))?);
    let site = Site::new(&opened, photos, most, ask)?;
    SERVING.store(true, Ordering::SeqCst);
    print(&format!("cbam-view: {host}{}\n", doors.page()))?;
    if browser && open::that_detached(format!("{host}{}", doors.once())).is_err() {
        say("no browser opens here: open that address in one");
    }
    site::serve(listener, site, doors, &END).map_err(Error::io("127.0.0.1"))?;
    rest(&worker);
    Ok(status::DONE)
}

/// The photos of the command line; what is left out of folders, and what cannot be read, is said.
fn found(request: &Request) -> Vec<PathBuf> {
    let Found { pictures, problems, folders } = scan(&request.photos, &[]);
    left_out(&folders).iter().for_each(say);
    problems.iter().for_each(say);
    // What is not there is told by the page; a pipe would hold up all else, and could be read but once.
    let (files, others): (Vec<_>, Vec<_>) =
        pictures.into_iter().map(|picture| picture.path).partition(|path| path.is_file() || !path.exists());
    for path in &others {
        say(Error::photo(path, "no file: a page shows what can be read again"));
    }
    files
}

/// Waits a little for the network's thread, which nobody asks any more.
fn rest(worker: &thread::JoinHandle<()>) {
    const STEP: Duration = Duration::from_millis(5);
    let mut left = GRACE;
    while !worker.is_finished() && !left.is_zero() {
        thread::sleep(STEP);
        left = left.saturating_sub(STEP);
    }
}
