//! Core's own code over [`MemoryStore`](region_memory::MemoryStore): the suite through the wrappers, and the cases about
//! handles and loads, which need not be run on every store.

#![cfg(feature = "conformance")]

#[path = "../../region-memory/tests/kit/harness.rs"]
mod harness;

use harness::InMemory;

region_core::__conformance_of_core!(InMemory::new());
