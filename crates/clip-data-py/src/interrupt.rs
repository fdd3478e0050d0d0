//! Long work that Ctrl-C ends.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use pyo3::prelude::*;

use crate::error::message;

/// Time between two looks at signals.
pub const ASK: Duration = Duration::from_millis(100);

/// What `work` gives, which runs in a thread of its own. After Ctrl-C it is asked to stop, and
/// nothing waits for it.
pub fn interruptible<T: Send + 'static>(
    py: Python<'_>,
    stop: impl FnOnce() + Send,
    work: impl FnOnce() -> PyResult<T> + Send + 'static,
) -> PyResult<T> {
    py.detach(|| {
        let (answer, answered) = channel();
        std::thread::spawn(move || {
            // It may be waited for no more.
            let _ = answer.send(work());
        });
        loop {
            match answered.recv_timeout(ASK) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(signal) = Python::attach(|py| py.check_signals()) {
                        stop();
                        return Err(signal);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(message("the thread that does this panicked".into()));
                }
            }
        }
    })
}
