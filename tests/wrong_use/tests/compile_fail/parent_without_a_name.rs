use region_cache::Regioned;

#[derive(Regioned)]
struct Project {
    #[region(parent_id)]
    org: u64,
    #[region(id)]
    id: u64,
}

fn main() {}
