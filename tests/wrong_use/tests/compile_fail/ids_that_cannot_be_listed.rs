use region_cache::{Region, RegionExt, Regioned};

#[derive(Regioned)]
struct Doc<'a> {
    #[region(id)]
    slug: &'a str,
}

fn list(root: &impl Region) {
    root.ids_of::<Doc<'static>>();
}

fn main() {}
