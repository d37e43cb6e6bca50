//! Statistics, in total and for each region.

#![cfg(feature = "testing")]

mod stats {
    mod kit;
    mod reasons;
    mod regions;
}
