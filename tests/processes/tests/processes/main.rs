//! Operating system processes with near caches over one server. Figures go to the error output:
//! `cargo test -p processes` prints them.

mod crowd;
mod depends;
mod faults;
mod kit;
mod races;
mod seen;
mod stampede;
