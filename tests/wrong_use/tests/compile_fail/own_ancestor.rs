use region_cache::Regioned;

#[derive(Regioned)]
#[region(parent = Folder)]
struct Folder {
    #[region(id)]
    id: u64,
}

fn main() {}
