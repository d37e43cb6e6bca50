use region_cache::{RegionHandle, cached};

struct Service {
    region: RegionHandle,
}

// `self` is part of the key, unless it is skipped.
impl Service {
    #[cached(region = self.region)]
    async fn kept(&self, number: u32) -> u32 {
        number
    }
}

fn main() {}
