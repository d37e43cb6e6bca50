use region_cache::Regioned;

#[derive(Regioned)]
struct Org {
    #[region(id)]
    id: u64,
}

#[derive(Regioned)]
#[region(parent = Org)]
struct WrongType {
    #[region(parent_id)]
    org: u32,
    #[region(id)]
    id: u64,
}

#[derive(Regioned)]
#[region(parent = Org)]
struct Missing {
    #[region(id)]
    id: u64,
}

#[derive(Regioned)]
#[region(parent = Org)]
struct TooMany {
    #[region(parent_id)]
    org: u64,
    #[region(parent_id)]
    more: u64,
    #[region(id)]
    id: u64,
}

fn main() {}
