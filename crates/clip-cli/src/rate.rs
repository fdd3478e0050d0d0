//! How fast a count grows, and how long the rest takes.

use std::collections::VecDeque;
use std::time::Duration;

/// How far back a rate looks: what an earlier run left is counted in a moment, and a host that
/// became slow should show.
const WINDOW: Duration = Duration::from_secs(30);

/// The recent rate of a count.
#[derive(Debug, Default)]
pub struct Rate {
    samples: VecDeque<(Duration, u64)>,
}

impl Rate {
    /// The count is `count`, `at` that time since the start.
    pub fn record(&mut self, at: Duration, count: u64) {
        // One sample from before the window stays: the rate is over the whole of it.
        while self.samples.get(1).is_some_and(|(old, _)| at.saturating_sub(*old) > WINDOW) {
            self.samples.pop_front();
        }
        self.samples.push_back((at, count));
    }

    /// Units a second; nothing before there are two times to compare.
    pub fn per_second(&self) -> Option<f64> {
        let ((from, first), (to, last)) = (self.samples.front()?, self.samples.back()?);
        let seconds = to.saturating_sub(*from).as_secs_f64();
        (seconds > 0.0).then(|| last.saturating_sub(*first) as f64 / seconds)
    }

    /// The time that the units up to `total` take at this rate; nothing while there is none.
    pub fn left(&self, total: u64) -> Option<Duration> {
        let rate = self.per_second().filter(|rate| *rate > 0.0)?;
        let rest = total.saturating_sub(self.samples.back()?.1);
        Duration::try_from_secs_f64(rest as f64 / rate).ok()
    }
}

/// A duration in its two largest units: `2 h 05 min`, `3 min 20 s`, `45 s`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min {:02} s", seconds % 60),
        3600..86_400 => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{days} d {:02} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_the_recent_one_and_says_how_long_the_rest_takes() {
        let mut rate = Rate::default();
        assert_eq!((rate.per_second(), rate.left(10)), (None, None));
        // 10,000 rows that an earlier run left, then 100 rows a second.
        for second in 0..=100 {
            rate.record(Duration::from_secs(second), 10_000 * u64::from(second > 0) + 100 * second);
        }
        assert_eq!(rate.per_second(), Some(100.0));
        assert_eq!(rate.left(21_000), Some(Duration::from_secs(10)));
        assert_eq!(rate.left(5), Some(Duration::ZERO));
        assert!(rate.samples.len() < 40);
        // A host that answers no more.
        for second in 101..=200 {
            rate.record(Duration::from_secs(second), 20_000);
        }
        assert_eq!((rate.per_second(), rate.left(21_000)), (Some(0.0), None));
    }

    #[test]
    fn durations_have_their_two_largest_units() {
        for (seconds, words) in [
            (0, "0 s"),
            (59, "59 s"),
            (200, "3 min 20 s"),
            (7500, "2 h 05 min"),
            (90_000, "1 d 01 h"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), words);
        }
    }
}
