//! The near cache: what it may serve, what it asks for, and what it leaves behind.

#![cfg(feature = "testing")]

mod near {
    mod bounds;
    mod changes;
    mod kit;
    mod own;
    mod reads;
    mod trust;
    mod without_pushes;
}
