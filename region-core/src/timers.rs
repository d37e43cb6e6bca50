//! The timers of the tokio runtime.

use std::panic::catch_unwind;
use std::time::Duration;

use tokio::runtime::Handle;

/// Returns true if the code that calls this runs in a tokio runtime that has timers: one that was built with
/// `enable_time` or `enable_all`. For a store that sets limits of time: in any other place a timer panics.
///
/// Without timers one panic is caught, so a message of it may be printed.
///
/// ```
/// let runtime = || tokio::runtime::Builder::new_current_thread();
/// assert!(runtime().enable_time().build()?.block_on(async { region_core::has_timers() }));
/// assert!(!runtime().build()?.block_on(async { region_core::has_timers() }));
/// assert!(!region_core::has_timers());
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn has_timers() -> bool {
    // Tokio tells in no other way: a timer that is made without one panics.
    Handle::try_current().is_ok()
        && catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).is_ok()
}
