//! What a scenario comes to.

/// Counts of a scenario.
#[derive(Default)]
pub struct Tally {
    /// Signals that met a living process; elsewhere disturbances.
    pub kills: usize,
    /// Runs after a disturbance.
    pub reruns: usize,
    /// Results that were those of the undisturbed run, byte for byte.
    pub equal: usize,
    /// Errors that named the file, with an exit code of the table.
    pub named: usize,
    /// What went wrong.
    pub failures: Vec<String>,
    /// Why nothing was done.
    pub skipped: Option<&'static str>,
}

/// The head of the table.
pub const HEAD: &str =
    "scenario                        kills  reruns  equal  errors named  failures";

impl Tally {
    pub fn row(&self, name: &str) -> String {
        let Self { kills, reruns, equal, named, failures, skipped } = self;
        let failures = failures.len();
        let why = skipped.map_or(String::new(), |why| format!("  ({why})"));
        format!("{name:<30} {kills:>6} {reruns:>7} {equal:>6} {named:>13} {failures:>9}{why}")
    }

    pub fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.reruns += other.reruns;
        self.equal += other.equal;
        self.named += other.named;
        self.failures.extend(other.failures);
    }

    pub fn fail(&mut self, what: String) {
        self.failures.push(what);
    }
}
