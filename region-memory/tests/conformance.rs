//! The conformance suite over [`MemoryStore`](region_memory::MemoryStore).

#[path = "kit/harness.rs"]
mod harness;

use harness::InMemory;

region_core::conformance!(InMemory::new());
