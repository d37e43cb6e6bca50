use region_cache::Regioned;

#[derive(Regioned)]
#[region(ttl = "0s")]
struct ZeroTtl;

#[derive(Regioned)]
#[region(ttl = "10 minutes")]
struct NoUnit;

#[derive(Regioned)]
#[region(region_ttl = "99999999d")]
struct TooLong;

#[derive(Regioned)]
#[region(on_update = "sometimes")]
struct Sometimes;

#[derive(Regioned)]
#[region(version = -1)]
struct Negative;

#[derive(Regioned)]
#[region(name = "")]
struct Empty;

#[derive(Regioned)]
#[region(ttl = 10)]
struct NotText;

fn main() {}
