//! Signals: handlers in one process and in several, and regions that signals invalidate.

#![cfg(feature = "testing")]

mod signals {
    mod handlers;
    mod kit;
    mod regions;
    mod shared;
    mod silent;
}
