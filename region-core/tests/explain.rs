//! Explanations of hits and misses.

#![cfg(feature = "testing")]

mod explain {
    mod near;
    mod stores;
}
