//! Running a program to its end: arguments, environment, input, a time limit, and an error that says
//! what was run. Programs that stay up are `daemon`.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use crate::program;
use crate::scratch::write;

/// A program to run, with nothing on standard input unless [`Cmd::input`] says so.
pub struct Cmd {
    program: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    folder: Option<PathBuf>,
    input: Vec<u8>,
    limit_secs: u32,
    local: bool,
}

impl Cmd {
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_string_lossy().into_owned(),
            args: Vec::new(),
            env: Vec::new(),
            folder: None,
            input: Vec::new(),
            limit_secs: 300,
            local: false,
        }
    }

    /// A program that talks to this machine only: proxies of the environment are not handed on.
    pub fn local(program: impl AsRef<OsStr>) -> Self {
        Self {
            local: true,
            ..Self::new(program)
        }
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_string_lossy().into_owned());
        self
    }

    /// Adds the words of `line`, split at blanks; an argument that holds a blank goes by [`Cmd::arg`].
    pub fn words(mut self, line: &str) -> Self {
        self.args.extend(line.split_whitespace().map(str::to_owned));
        self
    }

    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        let value = value.as_ref().to_string_lossy().into_owned();
        self.env.push((key.to_owned(), value));
        self
    }

    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Seconds until the program is ended and counts as failed. Default: 300.
    pub fn limit_secs(mut self, secs: u32) -> Self {
        self.limit_secs = secs;
        self
    }

    /// Runs it and returns what it wrote to standard output.
    pub fn output(self) -> Result<Vec<u8>, String> {
        self.success().map(|end| end.stdout)
    }

    /// Runs it and returns standard output and standard error as text.
    pub fn text(self) -> Result<String, String> {
        self.success().map(|end| end.all())
    }

    /// Runs it and returns standard output, and standard error as text.
    pub fn output_and_errors(self) -> Result<(Vec<u8>, String), String> {
        let end = self.success()?;
        let errors = String::from_utf8_lossy(&end.stderr).into_owned();
        Ok((end.stdout, errors))
    }

    /// Runs it with all its output in `log`, however it ends.
    pub fn logged(self, log: &Path) -> Result<(), String> {
        let line = self.line();
        let end = self.finish()?;
        write(log, end.all())?;
        end.judged(&line).map(drop)
    }

    /// Runs it for its effect.
    pub fn run(self) -> Result<(), String> {
        self.output().map(drop)
    }

    /// Runs it and expects it to fail; returns all it said.
    pub fn fails(self) -> Result<String, String> {
        let line = self.line();
        let end = self.finish()?;
        if end.success {
            return Err(format!("`{line}` was expected to fail, but did not"));
        }
        Ok(end.all())
    }

    /// Runs it with this process's own output, for builds and tests whose progress a person follows.
    pub fn show(self) -> Result<(), String> {
        let line = self.line();
        let status = self
            .command()
            .stdin(Stdio::null())
            .status()
            .map_err(|error| format!("cannot run `{line}`: {error}"))?;
        if status.success() {
            return Ok(());
        }
        Err(format!("`{line}` ended with {status}"))
    }

    fn line(&self) -> String {
        let mut line = self.program.clone();
        for arg in &self.args {
            line.push(' ');
            line.push_str(arg);
        }
        line
    }

    fn command(&self) -> Command {
        let mut command = Command::new("timeout");
        command
            .arg("--kill-after=5")
            .arg(self.limit_secs.to_string())
            .arg(&self.program)
            .args(&self.args)
            .env("PATH", program::path());
        if self.local {
            for name in PROXIES {
                command.env_remove(name);
            }
        }
        // What cargo tells this program of itself would make the cargo below build ring, and all that uses it, anew.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&*name);
            }
        }
        for (key, value) in &self.env {
            command.env(key, value);
        }
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }

    fn success(self) -> Result<End, String> {
        let line = self.line();
        self.finish()?.judged(&line)
    }

    fn finish(self) -> Result<End, String> {
        let line = self.line();
        let failed = |error| format!("cannot run `{line}`: {error}");
        let mut child = self
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let mut stdin = child.stdin.take();
        let input = self.input;
        let writer = thread::spawn(move || {
            // A program may end without reading its input; that is its right.
            if let Some(pipe) = stdin.as_mut() {
                pipe.write_all(&input).ok();
            }
        });
        let output = child.wait_with_output().map_err(failed)?;
        writer.join().ok();
        Ok(End {
            success: output.status.success(),
            status: match output.status.code() {
                Some(124) => format!("did not end within {} s", self.limit_secs),
                _ => format!("ended with {}", output.status),
            },
            stdout: output.stdout,
            stderr: output.stderr,
        })
    }
}

/// Variables that would send a request for this machine elsewhere.
pub const PROXIES: [&str; 6] = [
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
];

struct End {
    success: bool,
    status: String,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl End {
    /// An error, with the last that the program said, unless it succeeded.
    fn judged(self, line: &str) -> Result<Self, String> {
        if self.success {
            return Ok(self);
        }
        let (status, said) = (&self.status, self.all());
        Err(format!("`{line}` {status}: {}", last_lines(&said)))
    }

    fn all(&self) -> String {
        let mut all = String::from_utf8_lossy(&self.stdout).into_owned();
        all.push_str(&String::from_utf8_lossy(&self.stderr));
        all
    }
}

/// Runs a command to its end; its standard output where it succeeds, everything it said where it does not.
pub fn succeed(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("cannot run {program}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let words: Vec<_> = command.get_args().map(|it| it.to_string_lossy()).collect();
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "{program} {} ({}):\n{text}{errors}",
        words.join(" "),
        output.status
    ))
}

/// The last dozen lines of `text`, which is where programs put the reason.
pub fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n    ")
}

#[cfg(test)]
mod tests {
    use super::{Cmd, last_lines};

    #[test]
    fn output_is_what_the_program_wrote() {
        let output = Cmd::new("cat").input("abc").output();
        assert_eq!(output, Ok(b"abc".to_vec()));
    }

    #[test]
    fn a_failure_names_the_command_and_its_words() {
        let error = Cmd::new("sh")
            .arg("-c")
            .arg("echo reason >&2; exit 3")
            .run();
        let error = error.expect_err("exit 3 is a failure");
        assert!(
            error.contains("sh -c") && error.contains("reason"),
            "{error}"
        );
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let error = Cmd::new("sleep").arg("60").limit_secs(1).run();
        let error = error.expect_err("60 s is past the limit");
        assert!(error.contains("did not end within 1 s"), "{error}");
    }

    #[test]
    fn only_the_end_of_long_output_is_kept() {
        let text = (0..100).map(|n| format!("{n}\n")).collect::<String>();
        assert!(last_lines(&text).starts_with("88"));
    }
}
