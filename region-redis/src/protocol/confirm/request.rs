use redis::Cmd;

use crate::protocol::call::{Call, Count};
use crate::protocol::layout::Anchor;
use crate::protocol::scripts::SCRIPTS;

/// Raises the count for the write that has left this receipt. Answers the count, or nil if the server has lost
/// the write.
pub(crate) fn confirm(receipt: &str, count: Count<'_>) -> Cmd {
    let mut call = Call::new(&SCRIPTS.confirm, Anchor::ROOT, 2);
    call.arg(receipt);
    call.arg(count.key);
    call.arg(count.floor);
    call.done()
}
