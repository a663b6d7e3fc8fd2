//! HTTP/2, which crane, oras, helm and regctl speak, beside HTTP/1.1 and nginx. Blobs are on tmpfs, so that no disk is
//! measured.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use testkit::cmd::Cmd;
use testkit::content::Blob;
use testkit::gantry::Server;
use testkit::meter::{Figures, Meter, wait};
use testkit::peer::Peer;
use testkit::process::Processes;
use testkit::registry::{Registry, with_digest};
use testkit::scratch::Scratch;
use testkit::target::Target;

use super::Run;
use crate::h2load::{Protocol, h2load};
use crate::recorder::rotated;
use crate::request::{Request, Seed};

/// The cases.
pub(super) const PUSH: &str = "h2-push";
pub(super) const BLOB: &str = "h2-blob";
pub(super) const MANIFEST: &str = "h2-manifest";
/// Gantry over HTTP/1.1, as a server of its own in the tables.
pub(super) const HTTP1: &str = "gantry-http1";

const BOTH: [(&str, Protocol); 2] = [("gantry", Protocol::Http2), (HTTP1, Protocol::Http1)];

/// Connections for large blobs, and for manifests.
const FEW: u32 = 4;
const MANY: u32 = 64;

impl Run<'_> {
    /// The cases of HTTP/2.
    pub(super) fn http2(&mut self) -> Result<(), String> {
        if ![PUSH, BLOB, MANIFEST]
            .iter()
            .any(|case| self.options.wants(case))
        {
            return Ok(());
        }
        let folder = Scratch::below(Path::new("/dev/shm"), "http2")?;
        let root = folder.join("static");
        std::fs::create_dir_all(&root).map_err(|error| error.to_string())?;
        let gantry = Server::start(&self.binary, &folder.join("data"))?;
        let nginx = Peer::nginx(&self.certificate, folder.path(), &root)?;
        self.http2_push(&gantry, folder.path())?;
        self.http2_blob(&gantry, &nginx, &root)?;
        self.http2_manifest(&gantry)
    }

    fn http2_push(&mut self, gantry: &Server, folder: &Path) -> Result<(), String> {
        if !self.options.wants(PUSH) {
            return Ok(());
        }
        for round in 0..self.options.rounds() {
            for index in rotated(BOTH.len(), round) {
                let (name, protocol) = BOTH[index];
                let layer = Layer::make(folder, self.scale.http2_push)?;
                self.measure(PUSH, name, &gantry.daemon, round, |processes| {
                    wait(layer.push(&gantry.target, processes, protocol))
                })?;
            }
        }
        Ok(())
    }

    fn http2_blob(&mut self, gantry: &Server, nginx: &Peer, root: &Path) -> Result<(), String> {
        if !self.options.wants(BLOB) {
            return Ok(());
        }
        let seed = Seed::Blob(self.scale.large_blob);
        let of_gantry = Request::seed(&gantry.target, BLOB, seed, Some(&root.join(BLOB)))?;
        let of_nginx = Request {
            path: format!("/{BLOB}"),
            headers: Vec::new(),
        };
        let plan = [
            ("gantry", &gantry.daemon, &gantry.target, of_gantry),
            ("nginx", &nginx.daemon, &nginx.target, of_nginx),
        ];
        let how = (Protocol::Http2, FEW, self.scale.seconds);
        for round in 0..self.options.rounds() {
            for index in rotated(plan.len(), round) {
                let (name, server, target, request) = &plan[index];
                self.measure(BLOB, name, server, round, |processes| {
                    h2load(processes, target, request, how)
                })?;
            }
        }
        Ok(())
    }

    fn http2_manifest(&mut self, gantry: &Server) -> Result<(), String> {
        if !self.options.wants(MANIFEST) {
            return Ok(());
        }
        let request = Request::seed(&gantry.target, MANIFEST, Seed::Manifest, None)?;
        let seconds = self.scale.seconds;
        for round in 0..self.options.rounds() {
            for index in rotated(BOTH.len(), round) {
                let (name, protocol) = BOTH[index];
                self.measure(MANIFEST, name, &gantry.daemon, round, |processes| {
                    h2load(
                        processes,
                        &gantry.target,
                        &request,
                        (protocol, MANY, seconds),
                    )
                })?;
            }
        }
        Ok(())
    }
}

/// A blob in a file, which curl pushes.
struct Layer {
    file: PathBuf,
    blob: Blob,
}

impl Layer {
    fn make(folder: &Path, size: u64) -> Result<Self, String> {
        let (file, blob) = (folder.join("layer"), Blob::random(size));
        let failed = |error| format!("cannot write {}: {error}", file.display());
        let mut out = File::create(&file).map_err(failed)?;
        for piece in blob.made().pieces(0, size) {
            out.write_all(&piece).map_err(failed)?;
        }
        Ok(Self { file, blob })
    }

    /// Pushes it by one PUT.
    async fn push(
        &self,
        target: &Target,
        server: &Processes,
        protocol: Protocol,
    ) -> Result<Figures, String> {
        const REPOSITORY: &str = "bench/http2-push";
        let registry = Registry::new(target)?;
        registry.make_project_of(REPOSITORY).await?;
        let authorization = registry.authorization(REPOSITORY).await?;
        let path = registry.start_upload(REPOSITORY).await?;
        let url = format!("{}{}", target.url, with_digest(&path, &self.blob.digest));
        let (option, version) = match protocol {
            Protocol::Http1 => ("--http1.1", "1.1"),
            Protocol::Http2 => ("--http2", "2"),
        };
        let curl = Cmd::local("curl")
            .words("-sS -o /dev/null -H Content-Type:application/octet-stream -H Expect:")
            .arg(option)
            .arg("--cacert")
            .arg(&target.ca)
            .arg("-H")
            .arg(format!("Authorization: {authorization}"))
            .arg("-T")
            .arg(&self.file)
            .arg("-w")
            .arg("%{http_code} over %{http_version}")
            .arg(url);
        let meter = Meter::start(server);
        let answer = curl.text()?;
        meter.done(meter.began(), self.blob.size);
        if answer.trim() != format!("201 over {version}") {
            return Err(format!("PUT of a layer: {answer}"));
        }
        meter.report()
    }
}
