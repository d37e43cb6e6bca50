//! Values that depend on other regions.

#![cfg(feature = "testing")]

mod depends {
    mod batch;
    mod declared;
    mod joining;
    mod kit;
    mod markers;
    mod near;
    mod trips;
    mod within_loads;
}
