//! The near cache: what it may serve, what it asks for, and what it leaves behind.

#![cfg(feature = "testing")]

mod near {
    mod absence;
    mod absence_unverified;
    mod bounds;
    mod changes;
    mod contains;
    mod hit_ratio;
    mod kit;
    mod limits;
    mod others;
    mod outage;
    mod own;
    mod reads;
    mod trust;
    mod unverified;
    mod without_pushes;
}
