use region_cache::{Policy, Regioned};

#[derive(Regioned)]
#[region(ttl = "1s", no_ttl)]
struct Both;

#[derive(Regioned)]
#[region(ttl = "2s", region_ttl = "1s", on_update = "keep")]
struct Unreachable;

#[derive(Regioned)]
#[region(policy = Policy::new, version = 2)]
struct Whole;

#[derive(Regioned)]
#[region(no_id)]
struct IdAfterAll {
    #[region(id)]
    id: u64,
}

#[derive(Regioned)]
#[region(no_id)]
enum NoIds {
    A,
}

fn main() {}
