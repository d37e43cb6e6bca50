//! Core's own code over [`MemoryStore`](region_memory::MemoryStore): the suite through the wrappers, and the cases about
//! handles and loads, which need not be run on every store; without and with the near cache.

#![cfg(feature = "conformance")]

#[path = "../../region-memory/tests/kit/harness.rs"]
mod harness;

use harness::InMemory;

region_core::__conformance_of_core!(InMemory::new());
region_core::__conformance_of_near!(InMemory::in_real_time());
