//! How far a long command is, on standard error: a bar at a terminal, otherwise a line now and then. Standard output
//! has what the command prints, and nothing of this.

mod words;

use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use jobs::maintenance::progress::{Counts, Progress};
use tokio_util::sync::CancellationToken;

use self::words::{Pace, measured};
use super::out;

/// How often a bar is drawn.
const FRAME: Duration = Duration::from_millis(200);
/// How often a line is printed where there is no terminal. A command that takes less prints none.
const LINE: Duration = Duration::from_secs(10);

/// The progress of one piece of work.
pub(super) struct Shown {
    progress: Arc<Progress>,
    /// Hidden unless standard error is a terminal that can draw it.
    bar: ProgressBar,
}

impl Shown {
    /// Shows nothing yet.
    pub(super) fn new() -> Self {
        Self {
            progress: Arc::default(),
            bar: ProgressBar::new_spinner(),
        }
    }

    /// Where the work counts.
    pub(super) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Prints a line of the command's output, for which a bar makes way.
    pub(super) fn line(&self, text: &str) {
        self.bar.suspend(|| out::line(text));
    }

    /// Does the work, and shows its progress until it has ended. To be called once.
    pub(super) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let ended = CancellationToken::new();
        // A task of its own: parts of the work do not yield.
        let draw = draw(self.progress.clone(), self.bar.clone(), ended.clone());
        let drawing = tokio::spawn(draw);
        let done = work.await;
        ended.cancel();
        // What was shown makes no difference to the work.
        let _ = drawing.await;
        done
    }
}

/// Draws or prints until the work has ended; then the bar disappears.
async fn draw(progress: Arc<Progress>, bar: ProgressBar, ended: CancellationToken) {
    let (begun, mut pace) = (Instant::now(), Pace::default());
    let every = if bar.is_hidden() { LINE } else { FRAME };
    while tokio::time::timeout(every, ended.cancelled())
        .await
        .is_err()
    {
        let counts = progress.counts();
        if counts.unit.is_empty() {
            continue;
        }
        let text = pace.describe(&counts, begun.elapsed());
        if bar.is_hidden() {
            out::note(&text);
        } else {
            frame(&bar, &counts, text);
        }
    }
    bar.finish_and_clear();
}

fn frame(bar: &ProgressBar, counts: &Counts, text: String) {
    let (done, all) = measured(counts);
    bar.set_style(style(all.is_some()));
    if let Some(all) = all {
        bar.set_length(all);
    }
    bar.set_position(done);
    bar.set_message(text);
}

/// A bar if it is known how much there is to do, otherwise something that turns. The words get the room that they need.
fn style(has_end: bool) -> ProgressStyle {
    let template = if has_end {
        "[{wide_bar}] {msg}"
    } else {
        "{spinner} {msg}"
    };
    let style = ProgressStyle::with_template(template);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
    style.progress_chars("=> ").tick_chars("|/-\\ ")
}
