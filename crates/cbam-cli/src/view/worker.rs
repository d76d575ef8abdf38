//! The thread that has the network: it opens it, and answers one question after another.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use axum::body::Bytes;
use cbam_core::classes::read_labels;
use cbam_core::live::{HeadOptions, LiveModel, LookOptions};
use cbam_core::model::{Model, Step};
use cbam_core::photo::Encoded;
use cbam_core::{Error, Result};
use tokio::sync::oneshot;

use crate::backend::Backend;
use crate::common::doubts::remedies;
use crate::common::network::open;
use crate::common::{page, say};
use crate::view::args::Request;
use crate::view::ended;

/// The stack of a thread: a main thread's usual size, as networks run on it.
const STACK: usize = 8 << 20;

/// What the page asks about a photo.
pub(super) struct Asked {
    pub(super) photo: Photo,
    pub(super) options: LookOptions,
    pub(super) reply: oneshot::Sender<Result<String>>,
}

/// A photo.
pub(super) enum Photo {
    /// One of those of the command line.
    Listed(PathBuf),
    /// One that the page sent, by its name.
    Sent(String, Bytes),
}

/// What the page is told of the network that is open, as JSON.
pub(super) struct Opened {
    pub(super) about: String,
    pub(super) head: String,
}

/// Opens the network, tells what it is or why it is not, and answers until nobody can ask any more.
pub(super) fn work(
    backend: &dyn Backend,
    request: Request,
    opened: oneshot::Sender<anyhow::Result<Opened>>,
    asked: mpsc::Receiver<Asked>,
) {
    let threads = request.model.how.threads.get();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).stack_size(STACK).build();
    let pool = match pool.map_err(|error| Error::argument("--threads", error)) {
        Ok(pool) => pool,
        Err(error) => return drop(opened.send(Err(error.into()))),
    };
    pool.install(move || {
        let network = match begin(backend, request) {
            Ok((network, told)) => {
                drop(opened.send(Ok(told)));
                network
            }
            Err(error) => return drop(opened.send(Err(error))),
        };
        for question in asked {
            let answer = answer(&network, &question);
            drop(question.reply.send(answer)); // who asked may be gone
        }
    });
}

fn begin(backend: &dyn Backend, request: Request) -> anyhow::Result<(LiveModel<Box<dyn Model>>, Opened)> {
    let mut settings = request.settings;
    settings.labels = request.labels.as_ref().map(read_labels).transpose()?;
    let notes = std::cell::RefCell::new(Vec::new());
    let model = open(backend, &request.model, &|note| {
        say(note);
        notes.borrow_mut().push(note.to_owned());
    })?;
    let network = LiveModel::new(request.model.kind.name(), model, notes.into_inner(), settings)?;
    let head = network.head(&HeadOptions {
        program: concat!("cbam-view ", env!("CARGO_PKG_VERSION")).to_owned(),
        date: page::now(),
        command: page::command(request.opening),
        ..HeadOptions::default()
    })?;
    let about = network.describe();
    Ok((network, Opened { about, head }))
}

/// What the network sees. Costly maps are given up once nobody waits for them.
fn answer(network: &LiveModel<Box<dyn Model>>, question: &Asked) -> Result<String> {
    let goes_on = |_: Step<'_>| !question.reply.is_closed() && !ended();
    if question.reply.is_closed() {
        return Err(Error::Interrupted);
    }
    let name = match &question.photo {
        Photo::Listed(path) => path.display().to_string(),
        Photo::Sent(name, _) => name.clone(),
    };
    let look = || {
        let options = &question.options;
        match &question.photo {
            Photo::Listed(path) => network.look(|limits| Encoded::open(path, limits), &name, options, Some(&goes_on)),
            Photo::Sent(_, bytes) => {
                let photo = |limits: &_| Encoded::new(Path::new(&name), bytes, limits);
                network.look(photo, &name, options, Some(&goes_on))
            }
        }
    };
    let answer = catch_unwind(AssertUnwindSafe(look));
    let panicked = |_| Err(Error::photo(Path::new(&name), "an internal error: the code that worked on it panicked"));
    answer.unwrap_or_else(panicked).map_err(|error| error.advised(&remedies))
}
