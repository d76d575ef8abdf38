//! Who may ask: the page of this program, in a browser of whoever started it.
//!
//! The port is open to every program of the machine and to every page in a browser. A page elsewhere cannot know the secret word in
//! the address; one that has its name lead here (DNS rebinding) is told by its `Host`, and one that asks from elsewhere by its
//! `Origin`. A port that is forwarded (ssh -L) has another number at its other end, so ports may differ.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use cbam_core::{Error, Result};
use subtle::ConstantTimeEq;

/// The names of this machine for itself.
const HOSTS: [&str; 2] = ["127.0.0.1", "localhost"];

/// A word that nobody guesses: 128 random bits.
#[derive(Debug, Clone)]
struct Secret(String);

impl Secret {
    fn new() -> Result<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(Error::internal)?;
        Ok(Self(format!("{:032x}", u128::from_be_bytes(bytes))))
    }

    /// Whether somebody knows it; how long that takes says nothing of it.
    fn is(&self, word: &str) -> bool {
        self.0.as_bytes().ct_eq(word.as_bytes()).into()
    }
}

/// The ways in.
#[derive(Debug)]
pub(super) struct Doors {
    /// The word that all addresses begin with.
    secret: Secret,
    /// A word that leads there once: it stands in the command line of the browser that is started, where others may read it.
    ticket: Secret,
    torn: AtomicBool,
}

impl Doors {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { secret: Secret::new()?, ticket: Secret::new()?, torn: AtomicBool::new(false) })
    }

    /// The path of the page.
    pub(super) fn page(&self) -> String {
        format!("/{}/", self.secret.0)
    }

    /// The path that leads there once.
    pub(super) fn once(&self) -> String {
        format!("/{}", self.ticket.0)
    }
}

/// Refuses what comes from elsewhere, and says in every answer how browsers are to take it.
pub(super) async fn guard(State(doors): State<Arc<Doors>>, request: Request, next: Next) -> Response {
    let mut words = request.uri().path().split('/').skip(1);
    let (first, alone) = (words.next().unwrap_or_default(), words.next().is_none());
    let mut response = match foreign(request.method(), request.headers()) {
        Some(refused) => refused.into_response(),
        None if doors.secret.is(first) && alone => Redirect::to(&doors.page()).into_response(),
        None if doors.secret.is(first) => next.run(request).await,
        None if doors.ticket.is(first) && alone && !doors.torn.swap(true, Ordering::SeqCst) => {
            Redirect::to(&doors.page()).into_response()
        }
        None if doors.ticket.is(first) => {
            (StatusCode::FORBIDDEN, "this address was used already: open the one that cbam-view said\n").into_response()
        }
        None => (StatusCode::FORBIDDEN, "this is not the address that cbam-view said\n").into_response(),
    };
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Why a request is refused that comes from elsewhere.
fn foreign(method: &Method, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let single = |name| headers.get_all(name).iter().count() < 2;
    let host = text(header::HOST).filter(|_| single(header::HOST)).unwrap_or_default();
    let own = |name: &str| HOSTS.iter().any(|own| own.eq_ignore_ascii_case(name));
    let named = host.parse::<Authority>().is_ok_and(|authority| own(authority.host()));
    if !named || host.contains('@') {
        return Some((StatusCode::MISDIRECTED_REQUEST, "cbam-view answers to 127.0.0.1 and localhost alone\n"));
    }
    let own = |origin: &HeaderValue| origin.as_bytes() == format!("http://{host}").as_bytes();
    let may_ask = headers.get(header::ORIGIN).map_or(method.is_safe(), own) && single(header::ORIGIN);
    (!may_ask).then_some((StatusCode::FORBIDDEN, "cbam-view answers to its own page alone\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_are_known_by_their_words() {
        let [a, b] = [Secret::new().unwrap(), Secret::new().unwrap()];
        assert_eq!(a.0.len(), 32);
        assert!(a.is(&a.0) && !a.is(&b.0) && !a.is("") && !a.is(&a.0[..31]));
    }

    #[test]
    fn only_the_own_page_is_answered() {
        let status = |method: Method, hosts: &[&str], origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(header::HOST, host.parse().unwrap());
            }
            origin.map(|origin| headers.insert(header::ORIGIN, origin.parse().unwrap()));
            foreign(&method, &headers).map(|(status, _)| status.as_u16())
        };
        let (own, host) = (Some("http://127.0.0.1:80"), ["127.0.0.1:80"]);
        assert_eq!(status(Method::GET, &host, None), None);
        assert_eq!(status(Method::GET, &["localhost:8123"], None), None, "through a tunnel");
        assert_eq!(status(Method::HEAD, &["LocalHost"], None), None);
        assert_eq!(status(Method::POST, &host, own), None);
        for host in ["example.org", "127.0.0.1.example.org:80", "localhost@example.org", "127.0.0.1@x:80", ""] {
            assert_eq!(status(Method::GET, &[host], None), Some(421), "{host}");
        }
        assert_eq!(status(Method::GET, &["127.0.0.1", "127.0.0.1"], None), Some(421));
        assert_eq!(status(Method::GET, &[], None), Some(421));
        for origin in [None, Some("null"), Some("http://127.0.0.1:81"), Some("https://127.0.0.1:80"), Some("http://x")]
        {
            assert_eq!(status(Method::POST, &host, origin), Some(403), "{origin:?}");
        }
        assert_eq!(status(Method::GET, &host, Some("http://x")), Some(403));
    }
}
