use redis::Cmd;
use region_core::{LeaseToken, RegionPath};

use crate::protocol::call::Call;
use crate::protocol::layout::Kind;
use crate::protocol::scripts::SCRIPTS;

/// Gives back the leases of `keys` that `token` holds.
pub(crate) fn release(path: &RegionPath, keys: &[String], token: LeaseToken) -> Cmd {
    let mut call = Call::new(&SCRIPTS.release, 1);
    call.key(Kind::Leases, path.as_str());
    call.arg(&token.to_bits().to_le_bytes()[..]);
    keys.iter().for_each(|key| call.arg(key));
    call.done()
}
