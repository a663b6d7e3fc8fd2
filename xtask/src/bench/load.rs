//! The programs that make the load: our own client in Go, and wrk. Both answer with figures by name.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::process::Processes;
use super::request::Request;
use crate::workspace;

/// Figures of one measurement by name; `rate`, `cpu_s`, `p99_ms` and so on.
pub(crate) type Figures = BTreeMap<String, f64>;

/// The client of `xtask/load`, built for this run.
pub(crate) struct Load {
    program: PathBuf,
    openssl_conf: PathBuf,
}

/// Where the load goes, and as whom.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) ca: PathBuf,
    pub(crate) login: Option<(String, String)>,
}

impl Load {
    /// Builds the client.
    pub(crate) fn build(folder: &Path) -> Result<Self, String> {
        let program = folder.join("load");
        let source = workspace::root()?.join("xtask/load");
        let mut build = Command::new("go");
        build
            .current_dir(source)
            .args(["build", "-o"])
            .arg(&program)
            .arg(".");
        // Nothing is fetched: the client has no dependencies.
        build
            .env("GOFLAGS", "-mod=mod")
            .env("GOPROXY", "off")
            .env("GOTOOLCHAIN", "local")
            .env("CGO_ENABLED", "0");
        succeed(&mut build)?;
        let openssl_conf = folder.join("openssl-client.cnf");
        fs::write(&openssl_conf, OPENSSL_CONF).map_err(|e| e.to_string())?;
        Ok(Self {
            program,
            openssl_conf,
        })
    }

    /// One of its sub-commands, ready to be started.
    pub(crate) fn command<S: AsRef<OsStr>>(
        &self,
        target: &Target,
        server: Option<&Processes>,
        args: &[S],
    ) -> Command {
        let (name, rest) = args.split_first().expect("a sub-command is given");
        let mut command = Command::new(&self.program);
        command
            .arg(name)
            .arg("-url")
            .arg(&target.url)
            .arg("-ca")
            .arg(&target.ca);
        if let Some(server) = server {
            command.arg("-pids").arg(server.list());
        }
        if let Some((user, password)) = &target.login {
            command
                .arg("-user")
                .arg(user)
                .env("LOAD_PASSWORD", password);
        }
        command.args(rest).stdin(Stdio::null());
        command
    }

    /// A sub-command that does not speak to the server under test.
    pub(crate) fn plain(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(name).stdin(Stdio::null());
        command
    }

    /// Runs a sub-command to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(
        &self,
        target: &Target,
        server: Option<&Processes>,
        args: &[S],
    ) -> Result<Figures, String> {
        let output = succeed(&mut self.command(target, server, args))?;
        Ok(figures_of(&output))
    }

    /// Runs wrk against one path. The cipher is forced at the client, so that all servers use the same.
    pub(crate) fn wrk(
        &self,
        server: &Processes,
        target: &Target,
        request: &Request,
        connections: u32,
        seconds: u32,
    ) -> Result<Figures, String> {
        let mut command = Command::new("wrk");
        command.env("OPENSSL_CONF", &self.openssl_conf);
        command.args([
            "--latency",
            "--timeout",
            "30s",
            // It has no use for more threads than connections.
            "-t",
            &connections.min(2).to_string(),
            "-c",
            &connections.to_string(),
            "-d",
            &format!("{seconds}s"),
        ]);
        for header in &request.headers {
            command.arg("-H").arg(header);
        }
        command.arg(format!("{}{}", target.url, request.path));
        let cpu = server.cpu_seconds();
        let output = succeed(&mut command)?;
        let cpu = server.cpu_seconds() - cpu;
        let mut figures = wrk_figures(&output)?;
        figures.insert("cpu_s".to_owned(), cpu);
        Ok(figures)
    }
}

/// TLS 1.3 with AES-128-GCM for every program that uses OpenSSL's defaults.
const OPENSSL_CONF: &str = "openssl_conf = init
[init]
ssl_conf = ssl
[ssl]
system_default = client
[client]
MinProtocol = TLSv1.3
Ciphersuites = TLS_AES_128_GCM_SHA256
";

/// Runs a command to its end; its standard output where it succeeds, everything it said where it does not.
pub(crate) fn succeed(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output();
    let output =
        output.map_err(|e| format!("cannot run {}: {e}", command.get_program().display()))?;
    outcome(command, output)
}

/// What [`succeed`] says of an output that came another way.
pub(crate) fn outcome(command: &Command, output: Output) -> Result<String, String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let words: Vec<String> = command
        .get_args()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "{} {} ({}):\n{text}{errors}",
        command.get_program().display(),
        words.join(" "),
        output.status
    ))
}

/// Reads `key value` lines; what is no number is left out.
pub(crate) fn figures_of(text: &str) -> Figures {
    let pair = |line: &str| {
        let (key, value) = line.split_once(' ')?;
        Some((key.to_owned(), value.parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

/// The value of a `key value` line that is no number.
pub(crate) fn word_of(text: &str, key: &str) -> Option<String> {
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
        .map(str::to_owned)
}

fn wrk_figures(text: &str) -> Result<Figures, String> {
    let mut figures = Figures::new();
    let mut set =
        |key: &str, value: Option<f64>| value.map(|value| figures.insert(key.to_owned(), value));
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["50%", latency] => set("p50_ms", milliseconds(latency)),
            ["99%", latency] => set("p99_ms", milliseconds(latency)),
            ["Requests/sec:", rate] => set("rate", rate.parse().ok()),
            [count, "requests", "in", seconds, bytes, "read"] => {
                set("operations", count.parse().ok());
                set(
                    "seconds",
                    milliseconds(seconds.trim_end_matches(',')).map(|ms| ms / 1000.0),
                );
                set("bytes", byte_count(bytes))
            }
            ["Non-2xx", ..] => return Err(format!("wrk met errors:\n{text}")),
            [
                "Socket",
                "errors:",
                "connect",
                connect,
                "read",
                read,
                "write",
                write,
                ..,
            ] => {
                if [connect, read, write]
                    .iter()
                    .any(|n| n.trim_end_matches(',') != "0")
                {
                    return Err(format!("wrk met errors:\n{text}"));
                }
                None
            }
            _ => None,
        };
    }
    Ok(figures)
}

/// `1.23ms`, `45.00us`, `5.10s` or `1.00m` in milliseconds.
fn milliseconds(text: &str) -> Option<f64> {
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(at);
    let factor = match unit {
        "us" => 0.001,
        "ms" => 1.0,
        "s" => 1000.0,
        "m" => 60_000.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

/// wrk's `1.50GB`, which counts by 1,024.
fn byte_count(text: &str) -> Option<f64> {
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(at);
    let power = ["B", "KB", "MB", "GB", "TB"]
        .iter()
        .position(|known| *known == unit)?;
    Some(number.parse::<f64>().ok()? * 1024f64.powi(i32::try_from(power).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_wrk_becomes_figures() {
        let text = "  Latency Distribution\n     50%    1.27ms\n     75%    1.50ms\n     90%    2.20ms\n     99%  980.00us\n  \
                    12345 requests in 5.10s, 1.50GB read\nRequests/sec:   2420.59\nTransfer/sec:    301.18MB\n";
        let figures = wrk_figures(text).unwrap();
        assert_eq!(figures["p50_ms"], 1.27);
        assert_eq!(figures["p99_ms"], 0.98);
        assert_eq!(figures["rate"], 2420.59);
        assert_eq!(figures["bytes"], 1.5 * 1024f64.powi(3));
        assert!((figures["seconds"] - 5.1).abs() < 1e-9);
    }

    #[test]
    fn errors_of_wrk_are_errors() {
        assert!(wrk_figures("  Non-2xx or 3xx responses: 7\n").is_err());
        assert!(wrk_figures("  Socket errors: connect 0, read 1, write 0, timeout 0\n").is_err());
    }
}
