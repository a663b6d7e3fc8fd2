use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use super::{Balancer, header, last_counts};

/// A backend that answers each connection with its name, the header it got, and what came after it, once
/// the client has ended its half.
fn backend(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let mut reader = BufReader::new(&stream);
            let mut header = String::new();
            let mut rest = String::new();
            reader.read_line(&mut header).unwrap();
            reader.read_to_string(&mut rest).unwrap();
            write!(&stream, "{name}|{}|{rest}", header.trim_end()).unwrap();
        }
    });
    address
}

fn balancer(backends: &[SocketAddr]) -> Balancer {
    Balancer::start("127.0.0.1:0".parse().unwrap(), backends).unwrap()
}

/// Sends `text`, ends that half, and reads the answer; with the client's own port.
fn exchange(balancer: &Balancer, text: &str) -> (String, u16) {
    let mut stream = TcpStream::connect(balancer.address()).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer, stream.local_addr().unwrap().port())
}

#[test]
fn a_connection_is_copied_both_ways_behind_a_header_that_names_the_client() {
    let balancer = balancer(&[backend("a")]);
    let (answer, port) = exchange(&balancer, "hello");
    let own = balancer.address().port();
    let expected = format!("a|PROXY TCP4 127.0.0.1 127.0.0.1 {port} {own}|hello");
    assert_eq!(answer, expected);
}

#[test]
fn connections_alternate() {
    let balancer = balancer(&[backend("a"), backend("b")]);
    let names: String = (0..6)
        .map(|_| exchange(&balancer, "").0.chars().next().unwrap())
        .collect();
    assert!(names == "ababab" || names == "bababa", "{names}");
    assert_eq!(balancer.connections(), [3, 3]);
}

#[test]
fn a_backend_that_refuses_is_passed_over() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = listener.local_addr().unwrap();
    drop(listener);
    let balancer = balancer(&[gone, backend("b")]);
    for _ in 0..4 {
        assert!(exchange(&balancer, "").0.starts_with("b|"));
    }
    assert_eq!(balancer.connections(), [0, 4]);
}

#[test]
fn dropping_it_ends_listener_and_connections() {
    let balancer = balancer(&[backend("a")]);
    let address = balancer.address();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"half").unwrap();
    while balancer.connections() != [1] {
        thread::yield_now();
    }
    drop(balancer);
    let mut rest = String::new();
    // Closed or reset, but not left open.
    stream.read_to_string(&mut rest).ok();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn both_families_have_their_header() {
    let of = |client: &str, here: &str| header(client.parse().unwrap(), here.parse().unwrap());
    assert_eq!(
        of("[2001:db8::7]:9", "[2001:db8::1]:443"),
        "PROXY TCP6 2001:db8::7 2001:db8::1 9 443\r\n"
    );
    assert_eq!(
        of("[::ffff:10.0.0.9]:9", "10.0.0.1:443"),
        "PROXY TCP4 10.0.0.9 10.0.0.1 9 443\r\n"
    );
    assert_eq!(of("[2001:db8::7]:9", "10.0.0.1:443"), "PROXY UNKNOWN\r\n");
}

#[test]
fn the_last_counts_of_a_log_hold() {
    let log = "listens on 127.0.0.1:1\nconnections 0 0\nconnections 12 11\n";
    assert_eq!(last_counts(log), [12, 11]);
    assert!(last_counts("").is_empty());
}
