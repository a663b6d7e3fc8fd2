//! wrk, which answers with figures by name as our own client does.

use std::process::Command;

use testkit::cmd::succeed;
use testkit::meter::Figures;
use testkit::process::Processes;
use testkit::scratch::{Scratch, write};
use testkit::target::Target;

use super::request::Request;

/// Runs wrk against one path. The cipher is forced at the client, so that all servers use the same.
pub(crate) fn wrk(
    server: &Processes,
    target: &Target,
    request: &Request,
    connections: u32,
    seconds: u32,
) -> Result<Figures, String> {
    let scratch = Scratch::new("wrk")?;
    let configuration = scratch.join("openssl.cnf");
    write(&configuration, OPENSSL_CONF)?;
    let mut command = Command::new("wrk");
    command.env("OPENSSL_CONF", configuration);
    command.args(["--latency", "--timeout", "30s"]);
    // It has no use for more threads than connections.
    command.args(["-t", &connections.min(2).to_string()]);
    command.args(["-c", &connections.to_string(), "-d", &format!("{seconds}s")]);
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
            // How many to connect, to read and to write; that it waited for long is none.
            ["Socket", "errors:", counts @ ..] => {
                let mut counts = counts.chunks(2).take(3).filter_map(|it| it.get(1));
                if counts.any(|count| count.trim_end_matches(',') != "0") {
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
