//! The content that clients push and pull: images, indexes, artifacts, made once per run.

use std::path::{Path, PathBuf};

use testkit::cmd::Cmd;
use testkit::layout::{Descriptor, EMPTY, LAYER, LAYER_GZIP, Layout, digest, digest_of_file};
use testkit::scratch::{Scratch, make_folder, read, write};

/// One piece of content in a layout folder.
pub(crate) struct Fixture {
    pub(crate) folder: PathBuf,
    pub(crate) tag: &'static str,
    pub(crate) digest: String,
}

/// The tag of every piece of content but the referrer.
pub(crate) const TAG: &str = "1.0";

/// All of it.
pub(crate) struct Fixtures {
    scratch: Scratch,
    /// A config and two layers.
    pub(crate) image: Fixture,
    /// Two images, one per architecture.
    pub(crate) index: Fixture,
    /// What BuildKit exports as `type=registry`: an index whose entries are layers, not manifests.
    pub(crate) build_cache: Fixture,
    /// A manifest that is no image.
    pub(crate) artifact: Fixture,
    /// The same in a layout that holds its referrer too.
    pub(crate) with_referrer: Fixture,
    /// Refers to `artifact` by its `subject`; a layout of its own.
    pub(crate) referrer: Fixture,
    /// A chart as helm pushes it.
    pub(crate) chart: Fixture,
    /// An artifact whose only layer has no bytes.
    pub(crate) zero_byte: Fixture,
    pub(crate) hundred_layers: Fixture,
}

impl Fixtures {
    pub(crate) fn make() -> Result<Self, String> {
        let scratch = Scratch::new("fixtures")?;
        Ok(Self {
            image: image(&scratch)?,
            index: index(&scratch)?,
            build_cache: build_cache(&scratch)?,
            artifact: artifact(&scratch)?,
            with_referrer: with_referrer(&scratch)?,
            referrer: referrer(&scratch)?,
            chart: chart(&scratch)?,
            zero_byte: zero_byte(&scratch)?,
            hundred_layers: hundred_layers(&scratch)?,
            scratch,
        })
    }

    /// A tar file with one member of 2 GiB that nobody can compress. The caller removes it.
    pub(crate) fn big_tar(&self) -> Result<PathBuf, String> {
        let script = "openssl enc -aes-128-ctr -pass pass:gantry -nosalt -pbkdf2 </dev/zero \
             2>/dev/null | head -c 2147483648 >random && tar -cf big.tar random && rm random";
        Cmd::new("sh")
            .arg("-c")
            .arg(script)
            .folder(self.scratch.path())
            .run()?;
        Ok(self.scratch.join("big.tar"))
    }

    /// An image with that tar file as its only layer. The caller removes its folder.
    pub(crate) fn big_image(&self) -> Result<Fixture, String> {
        let folder = self.scratch.join("big");
        let mut layout = Layout::new(&folder)?;
        let layer = layout.blob_file(LAYER, &self.big_tar()?)?;
        let diff_id = layer.digest.clone();
        let image = layout.image("amd64", &[(layer, diff_id)])?;
        fixture(&mut layout, folder, &image)
    }
}

fn fixture(layout: &mut Layout, folder: PathBuf, root: &Descriptor) -> Result<Fixture, String> {
    layout.list(root, Some(TAG))?;
    Ok(Fixture {
        folder,
        tag: TAG,
        digest: root.digest.clone(),
    })
}

fn image(scratch: &Scratch) -> Result<Fixture, String> {
    let folder = scratch.join("image");
    let mut layout = Layout::new(&folder)?;
    let image = two_layers(scratch, &layout, "amd64")?;
    fixture(&mut layout, folder, &image)
}

fn index(scratch: &Scratch) -> Result<Fixture, String> {
    let folder = scratch.join("index");
    let mut layout = Layout::new(&folder)?;
    let mut entries = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let platform = format!(r#""platform":{{"architecture":"{architecture}","os":"linux"}}"#);
        entries.push(two_layers(scratch, &layout, architecture)?.with(&platform));
    }
    let index = layout.index(&entries)?;
    fixture(&mut layout, folder, &index)
}

fn build_cache(scratch: &Scratch) -> Result<Fixture, String> {
    let folder = scratch.join("build-cache");
    let mut layout = Layout::new(&folder)?;
    let (first, first_id) = layer(scratch, &layout, "cache-1")?;
    let (second, second_id) = layer(scratch, &layout, "cache-2")?;
    let config = format!(
        r#"{{"layers":[{{"blob":"{}","parent":-1}},{{"blob":"{}","parent":0}}],"records":[{{"digest":"{}","results":[{{"layer":1,"createdAt":"2026-01-01T00:00:00Z"}}]}}]}}"#,
        first.digest,
        second.digest,
        digest(b"gantry build step")?
    );
    let config = layout.blob(CACHE_CONFIG, config.as_bytes())?;
    let note = |id: &str| {
        format!(
            r#""annotations":{{"buildkit/createdat":"2026-01-01T00:00:00Z","containerd.io/uncompressed":"{id}"}}"#
        )
    };
    let first = first.with(&note(&first_id));
    let second = second.with(&note(&second_id));
    let index = layout.index(&[first, second, config])?;
    fixture(&mut layout, folder, &index)
}

fn artifact(scratch: &Scratch) -> Result<Fixture, String> {
    let folder = scratch.join("artifact");
    let mut layout = Layout::new(&folder)?;
    let artifact = artifact_manifest(&layout)?;
    fixture(&mut layout, folder, &artifact)
}

fn with_referrer(scratch: &Scratch) -> Result<Fixture, String> {
    let folder = scratch.join("with-referrer");
    let mut layout = Layout::new(&folder)?;
    let artifact = artifact_manifest(&layout)?;
    let made = fixture(&mut layout, folder, &artifact)?;
    let referrer = referrer_manifest(&layout, &artifact)?;
    layout.list(&referrer, None)?;
    Ok(made)
}

fn referrer(scratch: &Scratch) -> Result<Fixture, String> {
    let folder = scratch.join("referrer");
    let mut layout = Layout::new(&folder)?;
    let artifact = artifact_manifest(&layout)?;
    let referrer = referrer_manifest(&layout, &artifact)?;
    layout.list(&referrer, Some("sbom"))?;
    Ok(Fixture {
        folder,
        tag: "sbom",
        digest: referrer.digest,
    })
}

fn artifact_manifest(layout: &Layout) -> Result<Descriptor, String> {
    let layer = layout.blob("application/vnd.gantry.test.text.v1", b"an artifact\n")?;
    let more = r#","artifactType":"application/vnd.gantry.test.v1""#;
    layout.manifest(&layout.blob(EMPTY, b"{}")?, &[layer], more)
}

fn referrer_manifest(layout: &Layout, subject: &Descriptor) -> Result<Descriptor, String> {
    let layer = layout.blob("application/spdx+json", br#"{"spdxVersion":"SPDX-2.3"}"#)?;
    let more = format!(
        r#","artifactType":"application/spdx+json","subject":{}"#,
        subject.json()
    );
    layout.manifest(&layout.blob(EMPTY, b"{}")?, &[layer], &more)
}

fn chart(scratch: &Scratch) -> Result<Fixture, String> {
    let sources = scratch.join("chart-sources");
    chart_sources(&sources.join(CHART))?;
    let packed = scratch.join("chart.tgz");
    Cmd::new("tar")
        .words("--sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C")
        .arg(&sources)
        .arg("-czf")
        .arg(&packed)
        .arg(CHART)
        .run()?;
    let folder = scratch.join("chart");
    let mut layout = Layout::new(&folder)?;
    let about = format!(r#"{{"name":"{CHART}","version":"{CHART_VERSION}","apiVersion":"v2"}}"#);
    let config = layout.blob("application/vnd.cncf.helm.config.v1+json", about.as_bytes())?;
    let content = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
    let layer = layout.blob_file(content, &packed)?;
    let manifest = layout.manifest(&config, &[layer], "")?;
    fixture(&mut layout, folder, &manifest)
}

fn zero_byte(scratch: &Scratch) -> Result<Fixture, String> {
    let folder = scratch.join("zero-byte");
    let mut layout = Layout::new(&folder)?;
    let layer = layout.blob("application/vnd.gantry.test.text.v1", b"")?;
    let more = r#","artifactType":"application/vnd.gantry.test.v1""#;
    let manifest = layout.manifest(&layout.blob(EMPTY, b"{}")?, &[layer], more)?;
    fixture(&mut layout, folder, &manifest)
}

fn hundred_layers(scratch: &Scratch) -> Result<Fixture, String> {
    let folder = scratch.join("hundred");
    let mut layout = Layout::new(&folder)?;
    let layers = (0..100)
        .map(|number| layer(scratch, &layout, &format!("layer-{number}")))
        .collect::<Result<Vec<_>, _>>()?;
    let image = layout.image("amd64", &layers)?;
    fixture(&mut layout, folder, &image)
}

fn two_layers(
    scratch: &Scratch,
    layout: &Layout,
    architecture: &str,
) -> Result<Descriptor, String> {
    let base = layer(scratch, layout, &format!("base-{architecture}"))?;
    let top = layer(scratch, layout, &format!("top-{architecture}"))?;
    layout.image(architecture, &[base, top])
}

/// A layer with one file in it, named and filled with `name`; also the digest of its tar file.
fn layer(scratch: &Scratch, layout: &Layout, name: &str) -> Result<(Descriptor, String), String> {
    let root = scratch.join("root");
    make_folder(&root)?;
    write(&root.join(name), format!("{name}\n").repeat(500))?;
    let tar = scratch.join("layer.tar");
    Cmd::new("tar")
        .words("--sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C")
        .arg(&root)
        .arg("-cf")
        .arg(&tar)
        .arg(name)
        .run()?;
    let diff_id = digest_of_file(&tar)?;
    let zipped = Cmd::new("gzip")
        .words("-n -9")
        .input(read(&tar)?)
        .output()?;
    std::fs::remove_dir_all(&root).ok();
    Ok((layout.blob(LAYER_GZIP, &zipped)?, diff_id))
}

const CACHE_CONFIG: &str = "application/vnd.buildkit.cacheconfig.v0";

/// A chart as the files that `helm package` takes.
pub(crate) fn chart_sources(folder: &Path) -> Result<(), String> {
    make_folder(&folder.join("templates"))?;
    let about = format!(
        "apiVersion: v2\nname: {CHART}\ndescription: A chart for a test\ntype: application\nversion: {CHART_VERSION}\n"
    );
    write(&folder.join("Chart.yaml"), about)?;
    write(&folder.join("values.yaml"), "greeting: hello\n")?;
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  greeting: {{ .Values.greeting }}\n";
    write(&folder.join("templates/greeting.yaml"), template)
}

/// The chart's name, which helm makes the last part of the repository.
pub(crate) const CHART: &str = "hello";
/// The chart's version, which helm makes the tag.
pub(crate) const CHART_VERSION: &str = "1.0.0";
