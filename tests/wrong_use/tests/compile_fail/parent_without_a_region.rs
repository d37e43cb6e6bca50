use region_cache::Regioned;

struct Org;

#[derive(Regioned)]
#[region(parent = Org)]
struct Project {
    #[region(id)]
    id: u64,
}

fn main() {}
