//! h2load, which asks over HTTP/2 or HTTP/1.1 and answers with figures by name as wrk does.

use std::process::Command;

use testkit::cmd::succeed;
use testkit::meter::Figures;
use testkit::process::Processes;
use testkit::target::Target;

use super::request::Request;

/// The protocol that a client speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// Runs h2load against one path: one request at a time on each connection, with windows as large as those of Go's client.
/// It offers TLS_AES_128_GCM_SHA256 first.
pub(crate) fn h2load(
    server: &Processes,
    target: &Target,
    request: &Request,
    (protocol, connections, seconds): (Protocol, u32, u32),
) -> Result<Figures, String> {
    let mut command = Command::new("h2load");
    command.args(["--max-concurrent-streams", "1", "--threads", "1"]);
    command.args(["--window-bits", "22", "--connection-window-bits", "30"]);
    command.args(["--clients", &connections.to_string()]);
    command.args(["--duration", &seconds.to_string()]);
    if protocol == Protocol::Http1 {
        command.arg("--h1");
    }
    for header in &request.headers {
        command.arg("-H").arg(header);
    }
    command.arg(format!("{}{}", target.url, request.path));
    let cpu = server.cpu_seconds();
    let output = succeed(&mut command)?;
    let cpu = server.cpu_seconds() - cpu;
    let mut figures = h2load_figures(&output)?;
    figures.insert("cpu_s".to_owned(), cpu);
    Ok(figures)
}

fn h2load_figures(text: &str) -> Result<Figures, String> {
    let mut figures = Figures::new();
    for line in text.lines() {
        let words: Vec<&str> = line
            .split([' ', ','])
            .filter(|word| !word.is_empty())
            .collect();
        let (key, value) = match words.as_slice() {
            ["finished", "in", _, rate, "req/s", ..] => ("rate", number(rate)),
            [
                "requests:",
                ..,
                failed,
                "failed",
                errored,
                "errored",
                _,
                "timeout",
            ] if (*failed, *errored) != ("0", "0") => {
                return Err(format!("h2load met errors:\n{text}"));
            }
            [
                "status",
                "codes:",
                fine,
                "2xx",
                "0",
                "3xx",
                "0",
                "4xx",
                "0",
                "5xx",
            ] => ("operations", number(fine)),
            // `1.20GB (1288490188) total`
            ["traffic:", _, bytes, "total", ..] => {
                ("bytes", number(bytes.trim_matches(['(', ')'])))
            }
            _ => continue,
        };
        figures.insert(key.to_owned(), value?);
    }
    let (Some(operations), Some(rate)) = (figures.get("operations"), figures.get("rate")) else {
        return Err(format!(
            "h2load met errors, or says something else:\n{text}"
        ));
    };
    let seconds = operations / rate;
    figures.insert("seconds".to_owned(), seconds);
    Ok(figures)
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "finished in 5.01s, 2000.00 req/s, 300.12MB/s\n\
        requests: 10000 total, 10000 started, 10000 done, 10000 succeeded, 0 failed, 0 errored, 0 timeout\n\
        status codes: 10000 2xx, 0 3xx, 0 4xx, 0 5xx\n\
        traffic: 1.46GB (1572864000) total, 1.19MB (1250000) headers (space savings 90.11%), 1.45GB (1560000000) data\n";

    #[test]
    fn a_report_of_h2load_becomes_figures() {
        let figures = h2load_figures(REPORT).unwrap();
        let found = ["rate", "operations", "bytes", "seconds"].map(|key| figures[key]);
        assert_eq!(found, [2000.0, 10_000.0, 1_572_864_000.0, 5.0]);
    }

    #[test]
    fn errors_of_h2load_are_errors() {
        for (right, wrong) in [
            (" 0 failed", " 1 failed"),
            ("10000 2xx, 0 3xx, 0 4xx", "9999 2xx, 0 3xx, 1 4xx"),
            ("finished", "ended"),
        ] {
            let text = REPORT.replacen(right, wrong, 1);
            assert!(h2load_figures(&text).is_err(), "{text}");
        }
    }
}
