use region_cache::Regioned;

#[derive(Regioned)]
#[region(name = "org", ttl = "1s")]
#[region(ttl = "2s")]
struct Org {
    #[region(id)]
    id: u64,
}

#[derive(Regioned)]
#[region(name = "a", name = "b")]
struct Other {
    #[region(id, id)]
    id: u64,
}

fn main() {}
