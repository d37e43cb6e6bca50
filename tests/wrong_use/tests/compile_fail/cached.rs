use region_cache::{RegionHandle, cached};

#[cached(region = region)]
fn not_async(region: RegionHandle) -> u32 {
    7
}

#[cached(region = region, skip(region))]
async fn generic<T: serde::Serialize>(region: RegionHandle, value: T, other: impl Into<u8>) -> u32 {
    7
}

#[cached(region = region, skip(region))]
async fn reference(region: RegionHandle, name: &str) -> u32 {
    7
}

#[cached]
async fn no_region(number: u32) -> u32 {
    number
}

#[cached(region = region, skip(regoin))]
async fn unknown_argument(region: RegionHandle) -> u32 {
    7
}

#[cached(regoin = region)]
async fn unknown_attribute(region: RegionHandle) -> u32 {
    7
}

struct Service;

impl Service {
    #[cached(region = region, skip(self, region))]
    async fn changes_itself(&mut self, region: RegionHandle) -> u32 {
        7
    }
}

#[cached(region = region, skip(self))]
async fn no_method(region: RegionHandle) -> u32 {
    7
}

#[cached(region = region, skip(region), ttl = "soon")]
async fn wrong_setting(region: RegionHandle) -> u32 {
    7
}

#[cached(region = region, skip(region), ttl = "1m", no_ttl)]
async fn contradiction(region: RegionHandle) -> u32 {
    7
}

fn main() {}
