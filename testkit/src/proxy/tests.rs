//! The proxy against a server that answers each request with as many bytes as its target says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::{Mode, Proxy, Reply, Rule};

/// A server that outlives the test, as its process does.
fn proxied() -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(&stream));
        }
    });
    Proxy::start(&address).unwrap()
}

fn answer(mut stream: &TcpStream) -> Option<()> {
    let mut lines = BufReader::new(stream).lines();
    while let Some(Ok(line)) = lines.next() {
        let size: usize = line.split('/').nth(1)?.split(' ').next()?.parse().ok()?;
        while !lines.next()?.ok()?.is_empty() {}
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(&vec![b'x'; size]).ok()?;
    }
    Some(())
}

/// All that comes as the answer to one request of `size` bytes.
fn ask(proxy: &Proxy, size: usize) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(proxy.address())?;
    stream.set_read_timeout(Some(Duration::from_millis(300)))?;
    write!(stream, "GET /{size} HTTP/1.1\r\nHost: x\r\n\r\n")?;
    let mut got = Vec::new();
    let mut buffer = [0; 4096];
    let mut head = 0;
    while head == 0 || got.len() < head + size {
        match stream.read(&mut buffer)? {
            0 => break,
            read => got.extend_from_slice(&buffer[..read]),
        }
        let end = got.windows(4).position(|four| four == b"\r\n\r\n");
        head = end.map_or(0, |end| end + 4);
    }
    Ok(String::from_utf8(got).unwrap())
}

fn whole(proxy: &Proxy, size: usize) -> bool {
    ask(proxy, size).is_ok_and(|text| text.ends_with(&"x".repeat(size)) && size > 0)
}

#[test]
fn what_it_does_can_be_changed_and_taken_back() {
    let proxy = proxied();
    assert!(whole(&proxy, 9));
    proxy.set(Mode::Refuse);
    thread::sleep(Duration::from_millis(50));
    assert!(ask(&proxy, 9).is_err());
    proxy.set(Mode::Silence);
    thread::sleep(Duration::from_millis(50));
    assert!(ask(&proxy, 9).is_err());
    assert!(proxy.struck() > 0);
    proxy.set(Mode::Pass);
    assert!(whole(&proxy, 9));
    assert_eq!(proxy.struck(), 0);
}

#[test]
fn an_answer_is_cut_where_and_as_often_as_told() {
    let proxy = proxied();
    proxy.set(Mode::CutAnswer {
        after: 1000,
        times: 1,
    });
    assert_eq!(ask(&proxy, 5000).unwrap().len(), 1000);
    assert_eq!(proxy.struck(), 1);
    assert!(whole(&proxy, 5000));
    proxy.set(Mode::LoseAnswer("/77 "));
    assert!(whole(&proxy, 78));
    assert_eq!(ask(&proxy, 77).unwrap(), "");
}

#[test]
fn a_throttled_answer_takes_its_time() {
    let proxy = proxied();
    proxy.set(Mode::Throttle(100_000));
    let began = Instant::now();
    assert!(whole(&proxy, 50_000));
    assert!(began.elapsed() > Duration::from_millis(400));
}

#[test]
fn requests_are_answered_by_rule() {
    let proxy = proxied();
    let rule = |reply| {
        Mode::Answer(Rule {
            method: "GET",
            part: "/4",
            reply,
            times: 1,
        })
    };
    proxy.set(rule(Reply::Error(503, "SlowDown")));
    assert!(whole(&proxy, 50));
    let told = ask(&proxy, 40).unwrap();
    assert!(
        told.contains("SlowDown") && told.contains("Retry-After"),
        "{told}"
    );
    assert!(whole(&proxy, 40));
    proxy.set(rule(Reply::Half));
    let half = ask(&proxy, 44).unwrap_err();
    assert_eq!(half.kind(), std::io::ErrorKind::WouldBlock);
    proxy.set(rule(Reply::Lost));
    assert_eq!(ask(&proxy, 44).unwrap(), "");
}
