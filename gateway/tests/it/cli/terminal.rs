//! A terminal for commands: `script` of util-linux.

use tokio::process::Command;

use crate::harness::Server;

/// `gantry ARGUMENTS --data DIR` at a terminal, whose name is the first line that it shows.
pub(super) fn at_a_terminal(server: &Server, arguments: &[&str]) -> Command {
    let command = server.command(arguments);
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<String> = words
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    let line = format!("tty; exec {}", words.join(" "));
    let mut script = Command::new("script");
    for (key, _) in command.get_envs() {
        script.env_remove(key);
    }
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    script
}
