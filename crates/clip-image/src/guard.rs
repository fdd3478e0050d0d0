//! Panics of decoders as errors.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use crate::{Error, Result};

thread_local! {
    /// How many calls of [`catch_panic`] this thread is in.
    static CATCHING: Cell<u32> = const { Cell::new(0) };
}

/// The result of `work`, or the message of the panic that ended it. Such a panic prints nothing.
///
/// A damaged image may reach an assertion of a decoder; it must cost that image only. State that `work` changes
/// outside itself may be half changed afterwards.
pub fn catch_panic<T>(work: impl FnOnce() -> T) -> std::result::Result<T, String> {
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

/// A decoder's result, where a panic is one more reason why an image cannot be decoded.
pub(crate) fn guarded<T>(decoder: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_panic(decoder)
        .unwrap_or_else(|why| Err(Error::Decode(format!("the decoder panicked: {why}"))))
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
        let failed: Result<u8> = guarded(|| panic!("assertion failed"));
        let shown = failed.unwrap_err().to_string();
        assert_eq!(shown, "image decoding error: the decoder panicked: assertion failed");
        assert_eq!(guarded::<u8>(|| Err(Error::UnknownFormat)), Err(Error::UnknownFormat));
    }
}
