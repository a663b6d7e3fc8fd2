//! A receiver of webhooks on this machine: it answers as it is told to, and keeps what it was sent.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::harness::eventually;

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) path: String,
    pub(super) headers: HashMap<String, String>,
    pub(super) bytes: Bytes,
    /// The status that it was answered with.
    pub(super) status: u16,
}

impl Received {
    pub(super) fn body(&self) -> Value {
        serde_json::from_slice(&self.bytes).expect("a webhook is JSON")
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The tag of the artifact that it is about.
    pub(super) fn tag(&self) -> String {
        let body = self.body();
        let tag = &body["event_data"]["resources"][0]["tag"];
        tag.as_str().unwrap_or_default().to_owned()
    }
}

/// How requests to a path are answered.
#[derive(Clone, Copy)]
pub(super) enum Answers {
    With(u16),
    /// After so many milliseconds.
    Late(u16, u64),
    /// By the path elsewhere.
    Redirect(&'static str),
}

#[derive(Default)]
struct State {
    received: Mutex<Vec<Received>>,
    /// By path, without the query.
    answers: Mutex<HashMap<String, Answers>>,
}

pub(super) struct Receiver {
    address: SocketAddr,
    state: Arc<State>,
    serving: Mutex<Option<JoinHandle<()>>>,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let state = Arc::new(State::default());
        let serving = tokio::spawn(serve(listener, state.clone()));
        Self {
            address,
            state,
            serving: Mutex::new(Some(serving)),
        }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn answer(&self, path: &str, answers: Answers) {
        let mut all = self.state.answers.lock().expect("no test panics with it");
        all.insert(path.to_owned(), answers);
    }

    /// Closes the port: connections are refused.
    pub(super) fn die(&self) {
        let serving = self.serving.lock().expect("no test panics with it").take();
        serving.expect("it lives").abort();
    }

    pub(super) async fn come_back(&self) {
        let listener = eventually(10, "the port is free again", async || {
            TcpListener::bind(self.address).await.ok()
        });
        let serving = tokio::spawn(serve(listener.await, self.state.clone()));
        *self.serving.lock().expect("no test panics with it") = Some(serving);
    }

    /// What it took at a path, in its order.
    pub(super) fn taken(&self, path: &str) -> Vec<Received> {
        let all = self.asked(path);
        all.into_iter().filter(|it| it.status < 300).collect()
    }

    /// What it was sent at a path, whether it took it or not.
    pub(super) fn asked(&self, path: &str) -> Vec<Received> {
        let all = self.state.received.lock().expect("no test panics with it");
        all.iter().filter(|it| it.path == path).cloned().collect()
    }

    /// Waits until it has taken so many at a path.
    pub(super) async fn takes(&self, path: &str, count: usize, seconds: u64) -> Vec<Received> {
        eventually(seconds, "the receiver gets what happened", async || {
            let taken = self.taken(path);
            (taken.len() >= count).then_some(taken)
        })
        .await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Ok(mut serving) = self.serving.lock()
            && let Some(serving) = serving.take()
        {
            serving.abort();
        }
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = state.clone();
        let answer = service_fn(move |request| respond(request, state.clone()));
        connections.spawn(async move {
            let serving = hyper::server::conn::http1::Builder::new();
            serving
                .serve_connection(TokioIo::new(stream), answer)
                .await
                .ok();
        });
    }
}

async fn respond(
    request: Request<Incoming>,
    state: Arc<State>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let bytes = body
        .collect()
        .await
        .map(|all| all.to_bytes())
        .unwrap_or_default();
    let path = parts.uri.path().to_owned();
    let answers = state
        .answers
        .lock()
        .expect("no test panics with it")
        .get(&path)
        .copied();
    let answers = answers.unwrap_or(Answers::With(204));
    let (status, location) = match answers {
        Answers::With(status) => (status, None),
        Answers::Late(status, millis) => {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            (status, None)
        }
        Answers::Redirect(location) => (302, Some(location)),
    };
    let headers = parts.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    let received = Received {
        path,
        headers: headers.collect(),
        bytes,
        status,
    };
    state
        .received
        .lock()
        .expect("no test panics with it")
        .push(received);
    let mut response = Response::builder().status(status);
    if let Some(location) = location {
        response = response.header("location", location);
    }
    let body = Full::new(Bytes::from_static(
        b"what only the receiver's network may read",
    ));
    Ok(response.body(body).expect("the answer is valid"))
}
