use cache::Regioned;

#[derive(Regioned)]
#[region(crate = "cache")]
struct Org {
    id: u64,
    name: String,
}

fn main() {
    let org = Org { id: 1, name: String::new() };
    println!("{}", org.region_path());
}
