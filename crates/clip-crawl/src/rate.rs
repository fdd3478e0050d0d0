//! How often a host may be asked, as its answers show: the rate rises while they stay fast, and
//! halves where the host says or shows that it is too much.
//!
//! As TCP finds the rate of a line (RFC 5681): quickly up to the first sign of trouble, slowly
//! after it. One sign is many requests' in flight: only what was sent after the last change counts
//! for the next.

use std::time::{Duration, Instant};

/// Requests a second, below which no sign lowers the rate; a host that fails on is closed instead.
const LEAST: f64 = 0.1;
/// Where a host without a delay begins anew after its first sign of trouble, in requests a second.
const AFTER_NO_LIMIT: f64 = 20.0;
/// What a fast answer adds before the first sign of trouble, and what fast answers add in a second
/// after it.
const QUICK: f64 = 0.5;
const SLOW: f64 = 2.0;
/// The weight of an answer in the time that answers take.
const WEIGHT: f64 = 0.2;
/// Answers are fast up to a multiple of the fastest, and some seconds; slow beyond the second
/// pair.
const FAST: (f64, f64) = (1.5, 0.02);
const LATE: (f64, f64) = (2.0, 0.05);
/// What a host that answers slowly keeps of its rate.
const KEPT_WHEN_LATE: f64 = 0.7;

/// The rate of one host.
#[derive(Debug)]
pub(crate) struct Rate {
    /// Requests a second; infinite where there is no delay.
    now: f64,
    first: f64,
    most: f64,
    /// When it was lowered last.
    lowered: Option<Instant>,
    /// Seconds to an answer's head: as they are, and at their best.
    takes: Option<f64>,
    fastest: f64,
}

impl Rate {
    /// With this delay between two requests at first, and at least.
    pub fn new([first, least]: [Duration; 2]) -> Self {
        let rate = |delay: Duration| 1.0 / delay.as_secs_f64();
        let (first, most) = (rate(first), rate(least).max(rate(first)));
        Self { now: first, first, most, lowered: None, takes: None, fastest: f64::INFINITY }
    }

    /// The time between the starts of two requests.
    pub fn gap(&self) -> Duration {
        Duration::try_from_secs_f64(1.0 / self.now).unwrap_or_default()
    }

    /// How many requests may be in flight, of at most `most`: fewer as the rate is below its
    /// first.
    pub fn in_flight(&self, most: usize) -> usize {
        let first = if self.first.is_finite() { self.first } else { AFTER_NO_LIMIT };
        let share = (self.now / first).min(1.0);
        ((most as f64 * share).ceil() as usize).clamp(1, most)
    }

    /// The head of an answer came after `took`, to a request that was sent at `sent`, and that had
    /// waited for the rate or not: what is not used is not raised.
    pub fn answered(&mut self, sent: Instant, took: Duration, waited: bool) {
        let took = took.as_secs_f64();
        let takes = self.takes.map_or(took, |takes| takes + WEIGHT * (took - takes));
        self.takes = Some(takes);
        self.fastest = self.fastest.min(takes);
        let within = |(times, seconds): (f64, f64)| takes <= times * self.fastest + seconds;
        if within(FAST) {
            let adds = if self.lowered.is_none() { QUICK } else { SLOW / self.now };
            self.now = (self.now + if waited { adds } else { 0.0 }).min(self.most);
        } else if !within(LATE) && self.now > self.first && self.counts(sent) {
            // What it had at first is not too much for a host that is slow anyway.
            self.lower(
                (self.now * KEPT_WHEN_LATE).max(self.first),
                sent + Duration::from_secs_f64(took),
            );
        }
    }

    /// The host said that it is asked too often, or did not answer in time.
    pub fn overloaded(&mut self, sent: Instant, now: Instant) {
        if self.counts(sent) {
            let half = if self.now.is_finite() { self.now / 2.0 } else { AFTER_NO_LIMIT };
            self.lower(half.max(LEAST.min(self.now)), now);
        }
    }

    fn counts(&self, sent: Instant) -> bool {
        self.lowered.is_none_or(|lowered| sent >= lowered)
    }

    fn lower(&mut self, rate: f64, now: Instant) {
        (self.now, self.lowered) = (rate, Some(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    const DEFAULT: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(5)];

    /// What a server makes of a request: how long its answer takes, and whether it is one.
    struct Answer {
        takes: Duration,
        overloaded: bool,
    }

    /// Asks a server as fast as the rate allows for `seconds`, with 4 requests in flight at
    /// most; gives the number of requests in each second. No clock is read.
    fn ask(rate: &mut Rate, seconds: u64, server: &mut dyn FnMut(f64) -> Answer) -> Vec<usize> {
        let start = Instant::now();
        let mut now = start;
        let mut counts = vec![0; seconds as usize];
        let mut flying: VecDeque<(Instant, Instant, Answer)> = VecDeque::new();
        let mut next = start;
        while now < start + Duration::from_secs(seconds) {
            let ready = flying.iter().map(|(_, end, _)| *end).min();
            let may = flying.len() < rate.in_flight(4);
            now = match ready {
                Some(end) if !may || end <= next => end.max(now),
                _ => next.max(now),
            };
            if let Some(at) = flying.iter().position(|(_, end, _)| *end <= now) {
                let (sent, _, answer) = flying.remove(at).unwrap();
                if answer.overloaded {
                    rate.overloaded(sent, now);
                } else {
                    rate.answered(sent, answer.takes, true);
                }
                continue;
            }
            let since = now - start;
            if let Some(count) = counts.get_mut(since.as_secs() as usize) {
                *count += 1;
            }
            let answer = server(since.as_secs_f64());
            flying.push_back((now, now + answer.takes, answer));
            next = now + rate.gap();
        }
        counts
    }

    fn ok(milliseconds: u64) -> Answer {
        Answer { takes: Duration::from_millis(milliseconds), overloaded: false }
    }

    #[test]
    fn a_fast_host_is_asked_up_to_the_ceiling_and_no_more() {
        let mut rate = Rate::new(DEFAULT);
        let counts = ask(&mut rate, 12, &mut |_| ok(8));
        assert!(counts[0] < 35, "{counts:?}");
        assert!(counts[11] > 190 && counts.iter().all(|count| *count <= 201), "{counts:?}");
        let fixed = [Duration::from_millis(50); 2];
        let counts = ask(&mut Rate::new(fixed), 5, &mut |_| ok(8));
        assert!(counts.iter().all(|count| *count <= 21), "{counts:?}");
    }

    #[test]
    fn a_rate_that_is_not_used_does_not_rise() {
        let mut rate = Rate::new(DEFAULT);
        let now = Instant::now();
        (0..500).for_each(|_| rate.answered(now, Duration::from_millis(5), false));
        assert_eq!(rate.gap(), DEFAULT[0]);
    }

    /// Answers take longer the more there are in a second, over 60.
    #[test]
    fn a_host_that_slows_when_pushed_is_given_back_what_was_taken() {
        let mut recent: VecDeque<f64> = VecDeque::new();
        let mut rate = Rate::new(DEFAULT);
        let counts = ask(&mut rate, 40, &mut |now| {
            recent.retain(|at| now - at < 1.0);
            recent.push_back(now);
            ok(10 + 10 * (recent.len() as u64).saturating_sub(60))
        });
        assert!(counts.iter().all(|count| *count < 110), "{counts:?}");
        let late: usize = counts[20..].iter().sum();
        assert!(late < 20 * 80, "{counts:?}");
        assert!(late > 20 * 30, "{counts:?}");
    }

    #[test]
    fn a_host_that_says_too_many_gets_half_within_two_seconds() {
        let mut recent: VecDeque<f64> = VecDeque::new();
        let mut rate = Rate::new(DEFAULT);
        let counts = ask(&mut rate, 30, &mut |now| {
            recent.retain(|at| now - at < 1.0);
            recent.push_back(now);
            Answer { overloaded: recent.len() > 40, ..ok(5) }
        });
        let most = counts.iter().max().unwrap();
        let at = counts.iter().position(|count| count == most).unwrap();
        assert!(counts[at + 1..=at + 2].iter().any(|count| count * 3 < most * 2), "{counts:?}");
        assert!(counts[10..].iter().sum::<usize>() < 20 * 41, "{counts:?}");
        // From one moment on it says nothing else.
        let counts =
            ask(&mut Rate::new(DEFAULT), 8, &mut |now| Answer { overloaded: now > 3.0, ..ok(5) });
        assert!(counts[2] > 60 && counts[4] < counts[2] / 4 && counts[7] <= 2, "{counts:?}");
    }

    #[test]
    fn a_host_that_never_answers_gets_a_request_at_a_time() {
        let mut rate = Rate::new(DEFAULT);
        let counts =
            ask(&mut rate, 30, &mut |_| Answer { takes: Duration::from_secs(5), overloaded: true });
        assert_eq!(counts[0], 4, "{counts:?}");
        assert!(counts[1..].iter().sum::<usize>() <= 2 + 1 + 1 + 1 + 1, "{counts:?}");
    }

    #[test]
    fn what_was_sent_before_the_rate_was_lowered_lowers_it_no_further() {
        let mut rate = Rate::new(DEFAULT);
        let sent = Instant::now();
        (0..16).for_each(|_| rate.overloaded(sent, sent + Duration::from_secs(1)));
        assert_eq!(rate.gap(), 2 * DEFAULT[0]);
        rate.overloaded(sent + Duration::from_secs(2), sent + Duration::from_secs(3));
        assert_eq!((rate.gap(), rate.in_flight(4)), (4 * DEFAULT[0], 1));
        let mut free = Rate::new([Duration::ZERO; 2]);
        assert_eq!((free.gap(), free.in_flight(16)), (Duration::ZERO, 16));
        free.overloaded(sent, sent);
        assert_eq!(free.gap(), Duration::from_millis(50));
    }
}
