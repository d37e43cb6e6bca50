use region_cache::Regioned;

#[derive(Regioned)]
struct Org {
    #[region(id)]
    id: f64,
}

#[derive(Regioned)]
struct Other {
    #[region(id)]
    id: Option<u64>,
}

fn main() {}
