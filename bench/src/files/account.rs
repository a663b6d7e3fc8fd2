//! What asks for a password: tokens and logins.

use super::{Run, Trio};
use crate::request::Request;
use crate::wrk::wrk;

impl Run<'_> {
    pub(super) fn token(&mut self, trio: &Trio) -> Result<(), String> {
        if !self.options.wants("token") {
            return Ok(());
        }
        let (server, target) = (&trio.gantry.daemon, &trio.gantry.target);
        let (user, password) = target.login.as_ref().ok_or("gantry has a login")?;
        let basic = base64(format!("{user}:{password}").as_bytes());
        let request = Request {
            path: "/service/token?service=harbor-registry&scope=repository:bench/small-0:pull,push"
                .to_owned(),
            headers: vec![format!("Authorization: Basic {basic}")],
        };
        let seconds = self.scale.seconds;
        wrk(&server.processes(), target, &request, 64, 1)?;
        for round in 0..self.options.rounds() {
            self.measure("token", "gantry", server, round, |_, processes| {
                wrk(processes, target, &request, 64, seconds)
            })?;
        }
        Ok(())
    }

    pub(super) fn login(&mut self, trio: &Trio) -> Result<(), String> {
        if !self.options.wants("login") {
            return Ok(());
        }
        let (server, target) = (&trio.gantry.daemon, &trio.gantry.target);
        let count = self.scale.logins.to_string();
        for round in 0..self.options.rounds() {
            self.measure("login", "gantry", server, round, |load, processes| {
                load.run(target, Some(processes), &["login", "-count", &count])
            })?;
        }
        Ok(())
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().enumerate().fold(0u32, |word, (i, byte)| {
            word | u32::from(*byte) << (16 - 8 * i)
        });
        for digit in 0..4 {
            let letter = if digit <= chunk.len() {
                ALPHABET[(word >> (18 - 6 * digit)) as usize & 63]
            } else {
                b'='
            };
            text.push(char::from(letter));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_pads() {
        assert_eq!(base64(b"a:b"), "YTpi");
        assert_eq!(base64(b"a:"), "YTo=");
        assert_eq!(base64(b"a"), "YQ==");
    }
}
