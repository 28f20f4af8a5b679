//! The progress bar of long commands: on standard error, and only where that is a terminal.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressState, ProgressStyle};

/// How far a command has come: bytes read of bytes to read, and rows done. Without a terminal it draws nothing.
///
/// Dropped unfinished, it clears its line, so that an error message stands alone.
pub struct Progress {
    bar: ProgressBar,
    rows: Arc<AtomicU64>,
}

impl Progress {
    /// A bar of `total_bytes`, or a running count where the input has no known length (standard input).
    #[must_use]
    pub fn new(total_bytes: Option<u64>, label: &str) -> Self {
        // Ten times a second: more would cost time and show nothing new.
        Self::drawn_on(ProgressDrawTarget::stderr_with_hz(10), total_bytes, label)
    }

    fn drawn_on(target: ProgressDrawTarget, total_bytes: Option<u64>, label: &str) -> Self {
        let rows = Arc::new(AtomicU64::new(0));
        let bar = ProgressBar::with_draw_target(total_bytes, target).with_finish(ProgressFinish::AndClear);
        bar.set_style(style(total_bytes.is_some(), &rows));
        bar.set_prefix(label.to_owned());
        Self { bar, rows }
    }

    /// So many more bytes were read, and so many more rows done. Cheap enough for every row.
    pub fn advance(&self, bytes: u64, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.bar.inc(bytes);
    }

    /// Says beside the bar what is waited for; empty: nothing any more. Without a terminal it is a line of its own.
    pub fn waits(&self, what: &str) {
        self.bar.set_message(if what.is_empty() { String::new() } else { format!("  {what}") });
        if self.bar.is_hidden() && !what.is_empty() {
            super::output::note(&format!("{}: {what}", self.bar.prefix()));
        }
    }

    /// Rows done so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Replaces the bar by one last line. Without a terminal nothing is written: print what must be read elsewhere.
    pub fn finish(self, summary: &str) {
        self.bar.finish_and_clear();
        if !self.bar.is_hidden() {
            // A terminal that is gone needs no last line.
            let _ = writeln!(std::io::stderr(), "{}: {summary}", self.bar.prefix());
        }
    }
}

fn style(has_total: bool, rows: &Arc<AtomicU64>) -> ProgressStyle {
    let template = if has_total {
        "{prefix} [{bar:30}] {percent:>3}%  {rows} rows  {rate} rows/s  {eta} left{msg}"
    } else {
        "{prefix} {spinner} {bytes}  {rows} rows  {rate} rows/s{msg}"
    };
    let (count, rate) = (Arc::clone(rows), Arc::clone(rows));
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| plain())
        .with_key("rows", move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = out.write_str(&grouped(count.load(Ordering::Relaxed)));
        })
        .with_key("rate", move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            // Shorter stretches say nothing of the speed.
            let millis = state.elapsed().as_millis().max(500);
            let per_second = u128::from(rate.load(Ordering::Relaxed)) * 1_000 / millis;
            let _ = out.write_str(&grouped(u64::try_from(per_second).unwrap_or(u64::MAX)));
        })
        .progress_chars("=> ")
}

fn plain() -> ProgressStyle {
    ProgressStyle::default_bar()
}

/// A count with its thousands apart: `1,234,567`.
#[must_use]
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        let shown = [0, 12, 999, 1_000, 12_345, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "12", "999", "1,000", "12,345", "1,234,567"]);
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn it_counts_whether_or_not_anybody_looks() {
        for total in [Some(1_000), Some(0), None] {
            let progress = Progress::drawn_on(ProgressDrawTarget::hidden(), total, "scrub");
            progress.advance(600, 3);
            progress.advance(600, 4);
            assert_eq!((progress.rows(), progress.bar.position()), (7, 1_200));
            assert!(progress.bar.is_hidden());
            progress.finish("7 rows");
        }
    }

    #[test]
    fn every_template_is_understood() {
        let rows = Arc::new(AtomicU64::new(0));
        for has_total in [true, false] {
            let _ = style(has_total, &rows);
        }
        let template = "{prefix} [{bar:30}] {percent:>3}%  {rows} rows  {rate} rows/s  {eta} left{msg}";
        assert!(ProgressStyle::with_template(template).is_ok());
    }
}
