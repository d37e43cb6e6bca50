//! The program `region`, as its users run it, over real servers.

mod doctor;
mod kit;
mod page;
mod regions;
mod ui;
mod usage;
mod watch;
