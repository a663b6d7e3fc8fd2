//! The web UI: files below `/ui/`, embedded in the binary, and redirects from paths of Harbor's portal. The sources are
//! in `ui/`, the output of `npm run build` in `ui-dist/`.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::http::answer::{envelope, status};
use crate::http::response_body::Body;
use crate::route;

/// The build of the UI. Files that compress well have `.br` and `.gz` versions beside them.
#[derive(RustEmbed)]
#[folder = "../ui-dist"]
struct Dist;

/// What a page may load and do: scripts, styles and requests only from this server, and text becomes markup only
/// through the named policies.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
     connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types svelte-trusted-html dompurify",
);

/// The device features that pages may use: the clipboard.
const PERMISSIONS: HeaderValue = HeaderValue::from_static(
    "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), \
     microphone=(), midi=(), payment=(), usb=(), clipboard-write=(self)",
);

/// The folder of files with a hash of their content in their name: they never change.
const HASHED: &str = "assets/";
const PAGE: &str = "index.html";

/// Answers a request whose route is [`RouteName::Ui`](crate::route::RouteName::Ui).
pub(crate) fn answer<B>(path: &str, request: &Request<B>) -> Response<Body> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = envelope(
            StatusCode::METHOD_NOT_ALLOWED,
            "METHOD_NOT_ALLOWED",
            "the web UI is only read: use GET or HEAD",
        );
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(header::ALLOW, allowed);
        return response;
    }
    match path.strip_prefix(route::UI) {
        Some(name) => file(name, request.headers()),
        None => redirect(
            &route::portal(path).unwrap_or(Cow::Borrowed(route::UI)),
            request,
        ),
    }
}

fn redirect<B>(path: &str, request: &Request<B>) -> Response<Body> {
    let path: Cow<'_, str> = percent_encoding::utf8_percent_encode(path, IN_PATH).into();
    let location = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.into_owned(),
    };
    let Ok(location) = HeaderValue::from_str(&location) else {
        return status(StatusCode::BAD_REQUEST);
    };
    let mut response = status(StatusCode::FOUND);
    response.headers_mut().insert(header::LOCATION, location);
    response
}

/// The characters to escape in a path.
const IN_PATH: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\');

/// A file by its name, or for all other names the page, which shows what its URL says.
fn file(name: &str, asked: &HeaderMap) -> Response<Body> {
    match Dist::get(name).filter(|_| name != PAGE) {
        Some(plain) => send(name, plain, asked),
        None if name.starts_with(HASHED) => envelope(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            "the web UI has no such file",
        ),
        None => match Dist::get(PAGE) {
            Some(page) => send(PAGE, page, asked),
            None => status(StatusCode::NOT_FOUND),
        },
    }
}

fn send(name: &str, plain: EmbeddedFile, asked: &HeaderMap) -> Response<Body> {
    let (encoding, file) = encoded(name, asked).unwrap_or((None, plain));
    let etag = format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16]));
    let fresh = asked
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|known| known.trim())
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == etag);
    let mut response = if fresh {
        status(StatusCode::NOT_MODIFIED)
    } else {
        Response::new(match file.data {
            Cow::Borrowed(bytes) => Body::full(Bytes::from_static(bytes)),
            Cow::Owned(bytes) => Body::full(bytes),
        })
    };
    let headers = response.headers_mut();
    let mut put = |name, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    put(header::ETAG, &etag);
    put(header::CONTENT_TYPE, content_type(name));
    put(header::VARY, "accept-encoding");
    put(header::REFERRER_POLICY, "same-origin");
    put(
        header::CACHE_CONTROL,
        match name.starts_with(HASHED) {
            true => "public, max-age=31536000, immutable",
            false => "no-cache",
        },
    );
    if let Some(encoding) = encoding {
        put(header::CONTENT_ENCODING, encoding);
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert("permissions-policy", PERMISSIONS);
    response
}

/// The smallest version of a file that the client accepts, if there is a compressed one.
fn encoded(name: &str, asked: &HeaderMap) -> Option<(Option<&'static str>, EmbeddedFile)> {
    let accepted = asked.get(header::ACCEPT_ENCODING)?.to_str().ok()?;
    let accepts = |coding: &str| {
        accepted.split(',').any(|entry| {
            let (name, parameters) = entry.split_once(';').unwrap_or((entry, ""));
            let refused = parameters
                .trim()
                .strip_prefix("q=")
                .and_then(|q| q.parse().ok())
                == Some(0.0_f32);
            name.trim().eq_ignore_ascii_case(coding) && !refused
        })
    };
    [("br", "br"), ("gzip", "gz")]
        .into_iter()
        .filter(|(coding, _)| accepts(coding))
        .find_map(|(coding, suffix)| Some((Some(coding), Dist::get(&format!("{name}.{suffix}"))?)))
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "webmanifest") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
