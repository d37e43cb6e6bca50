//! The test kit over [`MemoryStore`](region_memory::MemoryStore).

mod kit {
    mod faults;
    mod pushes;
    mod recordings;
}
