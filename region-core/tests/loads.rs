//! Loads: who keeps them alive, what they leave behind, and what waits for what.

#![cfg(feature = "testing")]

mod loads {
    mod alive;
    mod cycles;
    mod early;
    mod kit;
    mod leases;
    mod outages;
    mod registered;
    mod reload;
    mod results;
    mod runtimes;
    mod sharing;
    mod stale;
    mod subscriptions;
    mod waiting;
    mod warm;
}
