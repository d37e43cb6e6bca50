use redis::Cmd;
use region_core::LeaseToken;

use crate::protocol::call::Call;
use crate::protocol::layout::{Kind, Located};
use crate::protocol::scripts::SCRIPTS;

/// Gives back the leases of `keys` that `token` holds.
pub(crate) fn release(path: Located<'_>, keys: &[String], token: LeaseToken) -> Cmd {
    let mut call = Call::new(&SCRIPTS.release, path.anchor, 1);
    call.key(Kind::Leases, path.text());
    call.arg(&token.to_bits().to_le_bytes()[..]);
    keys.iter().for_each(|key| call.arg(key));
    call.done()
}
