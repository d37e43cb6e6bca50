use region_cache::Regioned;

#[derive(Regioned)]
struct Org {
    #[region(id)]
    id: u64,
    #[region(id)]
    other: u64,
}

fn main() {}
