//! The caches under comparison, each in a file of its own.

mod amalgam;
mod cached;
mod cachet;
mod hitbox;
mod moka;
mod region;
pub mod seed;

pub use amalgam::Amalgam;
pub use cached::Cached;
pub use cachet::Cachet;
pub use hitbox::Hitbox;
pub use moka::Moka;
pub use region::Region;
