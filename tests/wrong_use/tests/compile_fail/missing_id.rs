use region_cache::Regioned;

#[derive(Regioned)]
struct Org {
    id: u64,
    name: String,
}

fn main() {}
