//! One line on standard error that tells how far the work is; nothing where that is no terminal.

use std::time::Duration;

use console::Term;

/// Columns of the bar, where they are there.
const BAR: usize = 30;
const NARROWEST_BAR: usize = 10;
/// Columns that are kept for the text beside a bar.
const TEXT: usize = 60;

/// A line that is drawn over and over, and goes when this is dropped.
pub(crate) struct Line(Option<Term>);

impl Line {
    pub(crate) fn on_stderr() -> Self {
        let terminal = Term::buffered_stderr();
        Self(terminal.is_term().then_some(terminal))
    }

    /// Draws what `text` makes for so many columns. A terminal that does not take it loses nothing but this.
    pub(crate) fn show(&self, text: impl FnOnce(usize) -> String) {
        let Some(terminal) = &self.0 else { return };
        // The last column stays free: what is put there makes some terminals begin another line.
        let columns = usize::from(terminal.size().1).saturating_sub(1);
        let _ = terminal.clear_line();
        let _ = terminal.write_str(&cut(text(columns), columns));
        let _ = terminal.flush();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.show(|_| String::new());
    }
}

/// How far a run is.
pub(crate) struct Progress {
    /// Of the whole run, from 0 to 1.
    pub(crate) share: f64,
    /// The same in its own unit.
    pub(crate) position: String,
    pub(crate) elapsed: Duration,
    pub(crate) requests: u64,
    pub(crate) hits: u64,
}

impl Progress {
    /// As a line: in full, or the part that there is room for.
    pub(crate) fn line(&self, columns: usize) -> String {
        let percent = format!("{:>3.0}%", self.share * 100.0);
        let (rate, ratio) = (self.rate(), self.hit_ratio());
        let texts = [
            format!("{percent}  {}  {rate} requests/s  hit ratio {ratio}", self.position),
            format!("{percent}  {rate} requests/s  hit ratio {ratio}"),
            format!("{percent}  {rate}/s  hits {ratio}"),
        ];
        let fitting = texts.iter().find(|text| text.chars().count() <= columns);
        let text = fitting.unwrap_or(&texts[2]);
        let room = columns.saturating_sub(TEXT).min(BAR);
        if room < NARROWEST_BAR {
            text.clone()
        } else {
            format!("{} {text}", bar(self.share, room))
        }
    }

    /// Requests a second since the beginning, with three digits.
    #[expect(clippy::cast_precision_loss)]
    fn rate(&self) -> String {
        let seconds = self.elapsed.as_secs_f64();
        if self.requests == 0 || seconds == 0.0 {
            return "-".to_owned();
        }
        let rate = self.requests as f64 / seconds;
        let (rate, unit) = match rate {
            999_500.0.. => (rate / 1e6, "M"),
            999.5.. => (rate / 1e3, "k"),
            _ => (rate, ""),
        };
        let decimals = if rate < 9.995 { 2 } else { usize::from(rate < 99.95) };
        format!("{rate:.decimals$}{unit}")
    }

    #[expect(clippy::cast_precision_loss)]
    fn hit_ratio(&self) -> String {
        match self.requests {
            0 => "-".to_owned(),
            requests => format!("{:.1}%", self.hits as f64 / requests as f64 * 100.0),
        }
    }
}

#[expect(clippy::cast_precision_loss, clippy::cast_sign_loss, clippy::cast_possible_truncation)]
fn bar(share: f64, columns: usize) -> String {
    let done = (share * columns as f64).round() as usize;
    format!("{}{}", "█".repeat(done.min(columns)), "░".repeat(columns.saturating_sub(done)))
}

/// The beginning of a text that fits.
fn cut(text: String, columns: usize) -> String {
    if text.chars().count() <= columns { text } else { text.chars().take(columns).collect() }
}
