use region_cache::Regioned;

#[derive(Regioned)]
#[region(nam = "org", colour = "red")]
struct Org {
    #[region(ids)]
    id: u64,
}

#[derive(Regioned)]
#[region(id = 7)]
struct Other;

#[derive(Regioned)]
enum Page {
    #[region(nmae = "start")]
    Home,
}

fn main() {}
