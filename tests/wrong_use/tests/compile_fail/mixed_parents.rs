use region_cache::Regioned;

#[derive(Regioned)]
struct Org {
    #[region(id)]
    id: u64,
}

#[derive(Regioned)]
struct Project {
    #[region(parent)]
    org: Org,
    #[region(parent_id)]
    org_id: u64,
    #[region(id)]
    id: u64,
}

#[derive(Regioned)]
struct TwoParents {
    #[region(parent)]
    org: Org,
    #[region(parent)]
    other: Org,
    #[region(id, parent)]
    id: u64,
}

fn main() {}
