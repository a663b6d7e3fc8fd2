//! A mail server of a test's own: it keeps what it is sent, or refuses. It speaks just enough for that; the walk in
//! `api-tests` has a real one.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::client::background;
use super::eventually;

/// Takes mails, until it is dropped.
pub struct MailServer {
    port: u16,
    state: Arc<State>,
    listening: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct State {
    mails: Mutex<Vec<Received>>,
    refusal: Mutex<Option<String>>,
}

/// A mail that came.
#[derive(Clone, Debug)]
pub struct Received {
    /// The addresses on the envelope.
    pub to: Vec<String>,
    /// Header and body, as they came.
    pub text: String,
}

impl Received {
    /// What follows `#` in the links of the mail.
    pub fn tokens(&self) -> Vec<String> {
        let after = self.text.split('#').skip(1);
        after
            .map(|rest| rest.chars().take_while(char::is_ascii_hexdigit).collect())
            .collect()
    }

    /// What follows `#` in the only link.
    pub fn token(&self) -> String {
        let tokens = self.tokens();
        let [token] = &tokens[..] else {
            panic!("one link is expected:\n{}", self.text);
        };
        token.clone()
    }
}

impl MailServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("there is a free port").into_std();
        let listener = listener.expect("it is a socket");
        let port = listener.local_addr().expect("it is bound").port();
        let state: Arc<State> = Arc::default();
        let taking = state.clone();
        let listening = background().spawn(async move {
            let listener = TcpListener::from_std(listener).expect("it is a socket");
            while let Ok((stream, _)) = listener.accept().await {
                let state = taking.clone();
                tokio::spawn(async move { state.talk(stream).await });
            }
        });
        Self {
            port,
            state,
            listening,
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Answers every address with this from now on: `550 no such user`.
    pub fn refuse(&self, answer: Option<&str>) {
        let mut refusal = self
            .state
            .refusal
            .lock()
            .expect("no test panics with the lock");
        *refusal = answer.map(str::to_owned);
    }

    /// All mails to an address so far, oldest first.
    pub fn mails(&self, to: &str) -> Vec<Received> {
        let mails = self
            .state
            .mails
            .lock()
            .expect("no test panics with the lock");
        let all = mails
            .iter()
            .filter(|mail| mail.to.iter().any(|it| it == to));
        all.cloned().collect()
    }

    /// How many mails came, to whomever.
    pub fn count(&self) -> usize {
        let mails = self.state.mails.lock();
        mails.expect("no test panics with the lock").len()
    }

    /// The `number`th mail to an address, from 1, once it is there.
    pub async fn mail(&self, to: &str, number: usize) -> Received {
        let what = format!("mail {number} to {to}");
        eventually(20, &what, async || self.mails(to).get(number - 1).cloned()).await
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl State {
    async fn talk(&self, stream: TcpStream) {
        let (read, write) = stream.into_split();
        // Whoever hangs up in the middle is done.
        let _ = self.serve(BufReader::new(read).lines(), write).await;
    }

    async fn serve(
        &self,
        mut lines: Lines<BufReader<OwnedReadHalf>>,
        mut write: OwnedWriteHalf,
    ) -> std::io::Result<()> {
        write.write_all(b"220 testkit\r\n").await?;
        let mut to = Vec::new();
        while let Some(line) = lines.next_line().await? {
            let verb: String = line
                .chars()
                .take(4)
                .collect::<String>()
                .to_ascii_uppercase();
            let answer = match verb.as_str() {
                "EHLO" => "250-testkit\r\n250 8BITMIME".to_owned(),
                "RCPT" => {
                    let address = line.split(['<', '>']).nth(1).unwrap_or_default();
                    to.push(address.to_owned());
                    let refusal = self.refusal.lock().expect("no test panics with the lock");
                    refusal.clone().unwrap_or("250 ok".to_owned())
                }
                "DATA" => {
                    write.write_all(b"354 go on\r\n").await?;
                    let text = text(&mut lines).await?;
                    let to = std::mem::take(&mut to);
                    let mut mails = self.mails.lock().expect("no test panics with the lock");
                    mails.push(Received { to, text });
                    "250 ok".to_owned()
                }
                "QUIT" => return write.write_all(b"221 bye\r\n").await,
                _ => "250 ok".to_owned(),
            };
            write.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
        Ok(())
    }
}

async fn text(lines: &mut Lines<BufReader<OwnedReadHalf>>) -> std::io::Result<String> {
    let mut text = String::new();
    while let Some(line) = lines.next_line().await? {
        if line == "." {
            break;
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
        text.push('\n');
    }
    // Long lines are broken softly, RFC 2045 section 6.7: what a reader sees is whole again.
    Ok(match text.contains("quoted-printable") {
        true => text.replace("=\n", "").replace("=3D", "="),
        false => text,
    })
}
