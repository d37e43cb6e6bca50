//! The test kit over [`MemoryStore`](region_memory::MemoryStore).

mod kit {
    mod backups;
    mod faults;
    mod pushes;
    mod recordings;
}
