use region_cache::Regioned;

#[derive(Regioned)]
union Either {
    one: u32,
    other: f32,
}

fn main() {}
