//! The two directions of a connection, and what becomes of each piece that comes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::{Mode, POLL, Shared};

/// Hands bytes on in both directions.
pub(super) fn pass(client: &TcpStream, server: &TcpStream, shared: &Shared) {
    let marked = AtomicU64::new(0);
    let lane = |way, from, to| Lane {
        way,
        from,
        to,
        shared,
        marked: &marked,
        generation: 0,
        bytes: 0,
    };
    thread::scope(|scope| {
        scope.spawn(|| lane(Way::Request, client, server).run());
        lane(Way::Answer, server, client).run();
    });
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Request,
    Answer,
}

/// One direction of a connection.
struct Lane<'a> {
    way: Way,
    from: &'a TcpStream,
    to: &'a TcpStream,
    shared: &'a Shared,
    /// The generation in which the text that is waited for went by.
    marked: &'a AtomicU64,
    generation: u64,
    /// Bytes in this generation.
    bytes: u64,
}

/// What becomes of a piece.
enum Fate {
    Whole,
    /// So many bytes go on, and then the connection is cut.
    Cut(usize),
}

impl Lane<'_> {
    fn run(mut self) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let size = self.piece().min(buffer.len());
            let read = match self.from.read(&mut buffer[..size]) {
                Ok(0) => return drop(self.to.shutdown(Shutdown::Write)),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return self.cut(),
            };
            match self.fate(&buffer[..read]) {
                Fate::Whole if self.to.write_all(&buffer[..read]).is_ok() => {}
                Fate::Whole => return self.cut(),
                Fate::Cut(kept) => {
                    self.to.write_all(&buffer[..kept]).ok();
                    return self.cut();
                }
            }
        }
    }

    /// Broken off rather than ended: so both sides have to see it.
    fn cut(&self) {
        self.from.shutdown(Shutdown::Both).ok();
        self.to.shutdown(Shutdown::Both).ok();
    }

    /// How much is read at a time: of a throttled connection, a twentieth of a second's worth.
    fn piece(&self) -> usize {
        match self.shared.now().0 {
            Mode::Throttle(rate) => usize::try_from(rate / 20).unwrap_or(usize::MAX).max(1),
            _ => usize::MAX,
        }
    }

    fn fate(&mut self, piece: &[u8]) -> Fate {
        loop {
            let (mode, generation) = self.shared.now();
            if self.generation != generation {
                (self.generation, self.bytes) = (generation, 0);
            }
            let marked = self.marked.load(Ordering::Relaxed) == generation;
            let waits = match mode {
                Mode::Silence => true,
                Mode::StallAnswer { after } => {
                    self.way == Way::Answer && self.bytes + piece.len() as u64 > after
                }
                Mode::SilenceAfter(_) => marked && self.way == Way::Answer,
                _ => false,
            };
            if !waits {
                return self.fate_in(&mode, piece, marked);
            }
            self.shared.strike(u32::MAX);
            thread::sleep(POLL);
            if self.shared.stopped() {
                return Fate::Cut(0);
            }
        }
    }

    fn fate_in(&mut self, mode: &Mode, piece: &[u8], marked: bool) -> Fate {
        let before = self.bytes;
        self.bytes += piece.len() as u64;
        match (mode, self.way) {
            (Mode::Delay(time), _) => {
                self.shared.strike(u32::MAX);
                thread::sleep(*time);
            }
            (Mode::Throttle(rate), _) => {
                self.shared.strike(u32::MAX);
                thread::sleep(Duration::from_secs(piece.len() as u64) / *rate as u32);
            }
            (Mode::CutAnswer { after, times }, Way::Answer)
            | (Mode::CutRequest { after, times }, Way::Request)
                if self.bytes > *after && before <= *after && self.shared.strike(*times) =>
            {
                return Fate::Cut((*after - before) as usize);
            }
            (Mode::LoseAnswer(text) | Mode::SilenceAfter(text), Way::Request)
                if holds(piece, text.as_bytes()) =>
            {
                self.marked.store(self.generation, Ordering::Relaxed);
            }
            (Mode::LoseAnswer(_), Way::Answer) if marked => {
                self.shared.strike(u32::MAX);
                return Fate::Cut(0);
            }
            _ => {}
        }
        Fate::Whole
    }
}

fn holds(piece: &[u8], text: &[u8]) -> bool {
    piece.windows(text.len()).any(|window| window == text)
}
