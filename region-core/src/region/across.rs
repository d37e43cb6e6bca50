use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::try_join_all;

use super::Region;
use crate::error::Result;
use crate::value::serializer::Value;

/// The most regions that [`get_across`] reads from at the same time.
pub const MAX_REGIONS_ACROSS: usize = 256;

/// Returns the fresh values at keys of several regions, each in the place of its region and key.
/// [`RegionCache::get_across`](crate::RegionCache::get_across) is the same.
///
/// The regions are read at the same time, up to [`MAX_REGIONS_ACROSS`] of them: over a store that pipelines its
/// calls, as Redis is, all reads are under way together on the connection to each server, and the call takes
/// about as long as one read. The keys that are given with one and the same handle are read by one
/// [`get_many`](Region::get_many), at one moment; different regions are read at different moments.
///
/// # Errors
/// As [`Region::get_many`], for any of the regions.
///
/// # Cancel safety
/// Dropping the future changes nothing.
///
/// ```
/// use region_core::{Region, RegionCache, RegionExt, get_across};
/// use region_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> region_core::Result<()> {
/// let cache = RegionCache::builder(MemoryStore::new()).root("shop").build()?;
/// let (one, two) = (cache.region("product:1")?, cache.region("product:2")?);
/// one.set("name", &"cup".to_owned()).await?;
/// two.set("name", &"plate".to_owned()).await?;
/// let names = get_across::<_, String>(&[(&one, "name"), (&two, "name"), (&two, "price")]).await?;
/// let names: Vec<_> = names.iter().map(|name| name.as_deref().map(String::as_str)).collect();
/// assert_eq!(names, [Some("cup"), Some("plate"), None]);
/// # Ok(())
/// # }
/// ```
pub async fn get_across<R: Region, V: Value>(places: &[(&R, &str)]) -> Result<Vec<Option<Arc<V>>>> {
    let mut values = vec![None; places.len()];
    for groups in groups(places).chunks(MAX_REGIONS_ACROSS) {
        let reads = groups.iter().map(|group| group.region.get_many::<V>(&group.keys));
        let found = try_join_all(reads).await?;
        for (group, found) in groups.iter().zip(found) {
            for (at, value) in group.at.iter().zip(found) {
                values[*at] = value;
            }
        }
    }
    Ok(values)
}

/// The keys that are given with one handle, and their places.
struct Group<'a, R> {
    region: &'a R,
    keys: Vec<&'a str>,
    at: Vec<usize>,
}

fn groups<'a, R>(places: &[(&'a R, &'a str)]) -> Vec<Group<'a, R>> {
    let mut groups: Vec<Group<'a, R>> = Vec::new();
    let mut by_handle: HashMap<*const R, usize> = HashMap::with_capacity(places.len());
    for (at, &(region, key)) in places.iter().enumerate() {
        let group = *by_handle.entry(std::ptr::from_ref(region)).or_insert_with(|| {
            groups.push(Group { region, keys: Vec::new(), at: Vec::new() });
            groups.len() - 1
        });
        groups[group].keys.push(key);
        groups[group].at.push(at);
    }
    groups
}
