use region_cache::Regioned;

#[derive(Regioned)]
struct Egg {
    #[region(parent)]
    hen: Box<Hen>,
    #[region(id)]
    id: u64,
}

#[derive(Regioned)]
struct Hen {
    #[region(parent)]
    egg: Box<Egg>,
    #[region(id)]
    id: u64,
}

fn main() {}
