//! What the browser asks for, over HTTP: the page, what the network is, what it sees.

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, FromRequest, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use cbam_core::live::read;
use cbam_core::render::page::{LiveEngine, live};
use serde::Deserialize;
use tokio::sync::{Notify, oneshot};

use crate::view::guard::{Doors, guard};
use crate::view::worker::{Asked, Opened, Photo};

/// A photo to try the page with.
const EXAMPLE: (&str, &[u8]) = ("chelsea.jpg", include_bytes!("../../assets/chelsea.jpg"));

/// All that is served.
pub(super) struct Site {
    page: Html<String>,
    /// What the page is told to begin with, as JSON.
    network: String,
    /// The photos of the command line.
    photos: Vec<PathBuf>,
    /// The most bytes of a photo.
    most: u64,
    ask: mpsc::Sender<Asked>,
}

impl Site {
    pub(super) fn new(
        opened: &Opened,
        photos: Vec<PathBuf>,
        most: u64,
        ask: mpsc::Sender<Asked>,
    ) -> anyhow::Result<Self> {
        let names: Vec<_> = photos.iter().map(|path| path.display().to_string()).collect();
        let (about, head, names) = (&opened.about, &opened.head, serde_json::to_string(&names)?);
        let network = format!("{{\"about\":{about},\"head\":{head},\"photos\":{names}}}");
        let page = live(concat!("cbam-view ", env!("CARGO_PKG_VERSION")), LiveEngine::Serving, EXAMPLE)?;
        Ok(Self { page: Html(page), network, photos, most, ask })
    }

    fn routes(self, doors: Arc<Doors>) -> Router {
        let most = usize::try_from(self.most).unwrap_or(usize::MAX);
        Router::new()
            .route("/{secret}/", get(async |State(site): State<Arc<Self>>| site.page.clone()))
            .route("/{secret}/network", get(async |State(site): State<Arc<Self>>| json(site.network.clone())))
            .route("/{secret}/look", post(look))
            .method_not_allowed_fallback(async || {
                Refused(StatusCode::METHOD_NOT_ALLOWED, "not asked in this way".to_owned())
            })
            .fallback(async || Refused::not_there("there is nothing at this address".to_owned()))
            .layer(DefaultBodyLimit::max(most))
            .layer(from_fn_with_state(doors, guard))
            .with_state(Arc::new(self))
    }
}

/// Answers the browser until the program is to end. Connections are dropped then, whatever is under way.
pub(super) fn serve(listener: TcpListener, site: Site, doors: Arc<Doors>, end: &Notify) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::select! {
            served = axum::serve(listener, site.routes(doors)).into_future() => served,
            () = end.notified() => Ok(()),
        }
    })
}

fn json(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// What is asked about a photo: that of this place on the command line, or else the one that is sent under this name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LookQuery {
    photo: Option<usize>,
    name: Option<String>,
    #[serde(default)]
    options: String,
}

/// What the network sees in a photo, as JSON, or why it sees nothing.
async fn look(
    State(site): State<Arc<Site>>,
    query: Result<Query<LookQuery>, QueryRejection>,
    request: Request,
) -> Result<Response, Refused> {
    let Query(LookQuery { photo, name, options }) = query?;
    let options = read(&options)?;
    let photo = match (photo, name) {
        (Some(place), None) => {
            let path = site.photos.get(place).cloned();
            Photo::Listed(path.ok_or_else(|| Refused::not_there(format!("photo: there is no photo {place}")))?)
        }
        (None, Some(name)) => Photo::Sent(name, sent(request, site.most).await?),
        _ => return Err(Refused::unclear("photo, name: one of them says which photo it is".to_owned())),
    };
    let (reply, answer) = oneshot::channel();
    // It is there until the program ends.
    let gone = || Refused(StatusCode::SERVICE_UNAVAILABLE, "the network is gone".to_owned());
    site.ask.send(Asked { photo, options, reply }).map_err(|_| gone())?;
    Ok(json(answer.await.map_err(|_| gone())??))
}

/// The photo's bytes. One that says that it is too large is refused before any of it is read.
async fn sent(request: Request, most: u64) -> Result<Bytes, Refused> {
    let said = |headers: &HeaderMap| headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse::<u64>().ok();
    if said(request.headers()).is_some_and(|length| length > most) {
        return Err(Refused::too_large(most));
    }
    Bytes::from_request(request, &()).await.map_err(|rejection| match rejection {
        BytesRejection::FailedToBufferBody(failed) if failed.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Refused::too_large(most)
        }
        other => Refused(other.status(), other.body_text()),
    })
}

/// An answer that says why there is none.
struct Refused(StatusCode, String);

impl Refused {
    fn not_there(message: String) -> Self {
        Self(StatusCode::NOT_FOUND, message)
    }

    fn unclear(message: String) -> Self {
        Self(StatusCode::BAD_REQUEST, message)
    }

    fn too_large(most: u64) -> Self {
        Self(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the file has more than {} MB, the most for a photo", most / 1_000_000),
        )
    }
}

impl From<cbam_core::Error> for Refused {
    fn from(error: cbam_core::Error) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
    }
}

impl From<QueryRejection> for Refused {
    fn from(rejection: QueryRejection) -> Self {
        Self::unclear(rejection.body_text())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}
