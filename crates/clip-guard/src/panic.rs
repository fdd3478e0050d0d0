//! Panics of libraries as errors.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// How many calls of [`catch_panic`] this thread is in.
    static CATCHING: Cell<u32> = const { Cell::new(0) };
}

/// The result of `work`, or the message of the panic that ended it. Such a panic prints nothing.
///
/// A damaged file may reach an assertion of what reads it; it must cost that file only. State that
/// `work` changes outside itself may be half changed afterwards.
///
/// # Errors
/// The message of a panic.
pub fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if CATCHING.get() == 0 {
                usual(panic);
            }
        }));
    });
    CATCHING.set(CATCHING.get() + 1);
    let result = catch_unwind(AssertUnwindSafe(work));
    CATCHING.set(CATCHING.get() - 1);
    result.map_err(|payload| message(&*payload))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_become_errors_also_one_inside_another() {
        let inner = || catch_panic(|| -> u8 { panic!("row {} is missing", 7) });
        assert_eq!(catch_panic(inner), Ok(Err("row 7 is missing".into())));
        assert_eq!(catch_panic(|| -> u8 { panic!("static") }), Err("static".into()));
        assert_eq!(catch_panic(|| 5), Ok(5));
    }
}
