//! Statistics, in total and for each region.

#![cfg(feature = "testing")]

mod stats {
    mod kit;
    mod outcomes;
    mod reasons;
    mod regions;
}
