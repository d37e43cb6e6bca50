//! A backend of one's own: regions in a file, over the embedded database redb.
//!
//! `cargo run --example custom_store` counts its runs: the cache is still warm the next time.
//! `tests/custom_store.rs` runs the conformance suite on it.
//!
//! A region is one row, read and written whole, and every method is one transaction: that makes it
//! short and atomic, and slow for regions with many entries. Whatever is put carries a stamp of the
//! regions that it lies in, and is valid while these live: so an invalidation changes one row. The rows
//! below stay in the file, which a server would sweep in the background; and the database waits for
//! the disk inside the call, which a server would move to a thread of its own.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use region_cache::{
    Applied, Begun, BegunKey, Clock, Cursor, EndTerms, Ended, Entry, Error, ErrorKind, Freshness,
    Guard, Incarnation, Incarnations, Lease, LeaseTerms, LeaseToken, Lifetime, Lineage, Listener,
    Listening, MARKER_KEY, Op, OpOutcome, Page, PageTerms, Read, ReadTerms, RegionPath, RegionTtl,
    Result, ScanItem, Segment, Show, Store, TakeLease, Timestamp, Verb, When, Write, Written,
};
use serde::{Deserialize, Serialize};

const REGIONS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("regions");

/// The number of expirations that a region remembers; the next one invalidates it instead.
const MAX_EXPIRATIONS: usize = 64;

/// The regions on a path, from the root down: the random id of each one's life, and how often it has
/// expired in that life.
type Stamp = Vec<(u64, usize)>;

/// A region. All times are milliseconds by the store's clock.
#[derive(Default, Serialize, Deserialize)]
struct Row {
    /// The random id of its life; an invalidation begins another.
    tree: u64,
    expirations: Vec<u64>,
    /// When the TTL is over that all entries share.
    deadline: Option<u64>,
    entries: BTreeMap<String, Slot>,
    leases: BTreeMap<String, Held>,
    /// The children that were put to, and this region's stamp at that moment.
    children: BTreeMap<String, Stamp>,
}

#[derive(Serialize, Deserialize)]
struct Slot {
    bytes: Vec<u8>,
    fresh_until: Option<u64>,
    stale_for: u64,
    stamp: Stamp,
}

#[derive(Serialize, Deserialize)]
struct Held {
    token: u64,
    until: u64,
    stamp: Stamp,
}

/// A region and those around it, as they are at one moment.
struct Path {
    around: Vec<Row>,
    row: Row,
    /// True if all of them are in the database, or are to be.
    exists: bool,
    now: Timestamp,
    stamp: Stamp,
    lineage: Lineage,
}

/// Regions in a database.
pub(crate) struct DbStore {
    db: Arc<Database>,
    clock: Arc<dyn Clock>,
}

impl DbStore {
    /// The regions in `db`. `clock` must not go back between two uses of one database.
    pub(crate) fn new(db: Arc<Database>, clock: impl Clock) -> Result<Self> {
        let write = db.begin_write().map_err(failed)?;
        write.open_table(REGIONS).map_err(failed)?;
        write.commit().map_err(failed)?;
        Ok(Self { db, clock: Arc::new(clock) })
    }

    fn look_at(&self, region: &RegionPath) -> Result<Path> {
        let read = self.db.begin_read().map_err(failed)?;
        Path::load(&read.open_table(REGIONS).map_err(failed)?, region, self.clock.now())
    }

    /// Changes a region and those around it in one step.
    fn change<T>(&self, region: &RegionPath, change: impl FnOnce(&mut Path) -> T) -> Result<T> {
        let write = self.db.begin_write().map_err(failed)?;
        let mut table = write.open_table(REGIONS).map_err(failed)?;
        let mut path = Path::load(&table, region, self.clock.now())?;
        // The leases whose time is over.
        path.row.leases.retain(|_, held| held.until > path.now.as_millis());
        let changed = change(&mut path);
        for (name, row) in region.prefixes().zip(path.rows()).filter(|_| path.exists) {
            let bytes = postcard::to_stdvec(row).map_err(|_| corrupt("a row cannot be written"))?;
            table.insert(name, bytes.as_slice()).map_err(failed)?;
        }
        drop(table);
        write.commit().map_err(failed)?;
        Ok(changed)
    }
}

impl Row {
    /// A new life. No lease, entry or child of another can have its id.
    fn new() -> Self {
        Self { tree: Incarnation::random().to_bits(), ..Self::default() }
    }

    fn drop_entries(&mut self) {
        self.deadline = None;
        self.entries.clear();
        self.leases.clear();
    }
}

impl Path {
    /// Regions that are missing get a new life, which is lost again unless they are to exist.
    fn load(
        table: &impl ReadableTable<&'static str, &'static [u8]>,
        region: &RegionPath,
        now: Timestamp,
    ) -> Result<Self> {
        let (mut around, mut exists) = (Vec::new(), true);
        for name in region.prefixes() {
            let row = table.get(name).map_err(failed)?;
            let row = row.map(|row| postcard::from_bytes(row.value()));
            let row = row.transpose().map_err(|_| corrupt("a row cannot be read"))?;
            exists &= row.is_some();
            around.push(row.unwrap_or_else(Row::new));
        }
        let stamp: Stamp = around.iter().map(|row| (row.tree, row.expirations.len())).collect();
        let id = Incarnation::from_bits;
        let ids =
            stamp.iter().map(|&(tree, n)| Incarnations { tree: id(tree), soft: id(n as u64) });
        let lineage = Lineage::new(ids).ok_or_else(|| corrupt("a path has no regions"))?;
        let row = around.pop().ok_or_else(|| corrupt("a path has no regions"))?;
        Ok(Self { around, row, exists, now, stamp, lineage })
    }

    /// From the root down.
    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.around.iter().chain([&self.row])
    }

    /// Returns whether no region was invalidated since `stamp`.
    fn is_same_life(&self, stamp: &Stamp) -> bool {
        self.rows().map(|row| row.tree).eq(stamp.iter().map(|(tree, _)| *tree))
    }

    /// Returns the time until `end`, or until the region's TTL is over; `None` if that has passed.
    fn left(&self, end: Option<u64>) -> Option<Lifetime> {
        let end = end.into_iter().chain(self.row.deadline).min();
        Lifetime::left(end.map(Timestamp::from_millis), self.now)
    }

    /// The entry at `key`, if it is valid.
    fn entry(&self, key: &str) -> Option<Entry> {
        let slot = self.row.entries.get(key).filter(|slot| self.is_same_life(&slot.stamp))?;
        // Of each region the first expiration after the put.
        let expired =
            self.rows().zip(&slot.stamp).filter_map(|(row, (_, n))| row.expirations.get(*n));
        let expired = expired.min().copied();
        let freshness = match self.left(slot.fresh_until) {
            Some(left) if expired.is_none() => Freshness::Fresh { left },
            _ => {
                let since = expired.into_iter().chain(slot.fresh_until).min()?;
                Freshness::Stale { left: self.left(Some(since.saturating_add(slot.stale_for)))? }
            }
        };
        Some(Entry::new(slot.bytes.clone().into(), freshness))
    }

    fn fresh_entry(&self, key: &str) -> Option<Entry> {
        self.entry(key).filter(Entry::is_fresh)
    }

    /// Who holds the lease of `key`, and for how long. A lease is void under another stamp.
    fn holder(&self, key: &str) -> Option<(LeaseToken, Duration)> {
        let held = self.row.leases.get(key).filter(|held| held.stamp == self.stamp)?;
        let left = Timestamp::from_millis(held.until).since(self.now);
        Some((LeaseToken::from_bits(held.token), left))
    }

    fn begin(&mut self, key: &str, terms: LeaseTerms) -> BegunKey {
        let is_needed = terms.take != TakeLease::UnlessFresh || self.fresh_entry(key).is_none();
        let lease = match self.holder(key) {
            Some((by, _)) if by == terms.token => Lease::Granted,
            Some((by, left)) if is_needed => Lease::Held { by, left },
            // A lease that was lost is not taken anew: the load that it was for began too early.
            None if is_needed && terms.take != TakeLease::Extend => Lease::Granted,
            _ => Lease::NotTaken,
        };
        if lease == Lease::Granted {
            let until = self.now.saturating_add(terms.duration).as_millis();
            let held = Held { token: terms.token.to_bits(), until, stamp: self.stamp.clone() };
            self.row.leases.insert(key.to_owned(), held);
        }
        BegunKey::new(self.entry(key), lease)
    }

    /// Returns whether the lineage and the leases of a load still hold.
    fn holds(&self, guard: Guard<'_>) -> bool {
        let is_held = |key: &&str| self.holder(key).is_some_and(|(by, _)| by == guard.token);
        self.lineage == *guard.lineage && guard.keys.iter().all(is_held)
    }

    fn apply(&mut self, op: &Op<'_>) -> OpOutcome {
        let key = op.key();
        let outcome = match op {
            Op::Remove { .. } => OpOutcome::Removed(self.fresh_entry(key).is_some()),
            Op::Take { .. } => OpOutcome::Taken(self.entry(key)),
            Op::Put(put) => match (&put.when, self.fresh_entry(key)) {
                (When::Absent, Some(there)) => return OpOutcome::Exists(there),
                (When::AbsentOrHolding(bytes), Some(there)) if *bytes != there.bytes => {
                    return OpOutcome::Exists(there);
                }
                _ => OpOutcome::Stored,
            },
        };
        self.row.leases.remove(key);
        self.row.entries.remove(key);
        if let Op::Put(put) = op {
            let slot = Slot {
                bytes: put.bytes.to_vec(),
                fresh_until: put.fresh_for.end(self.now).map(Timestamp::as_millis),
                stale_for: put.stale_for.as_millis() as u64,
                stamp: self.stamp.clone(),
            };
            self.row.entries.insert(key.to_owned(), slot);
        }
        outcome
    }

    fn write(&mut self, write: Write<'_>, region: &RegionPath) -> Vec<OpOutcome> {
        let is_of_this_life = |slot: &Slot| self.is_same_life(&slot.stamp);
        if self.left(None).is_none() || !self.row.entries.values().all(is_of_this_life) {
            self.row.entries.clear();
            self.row.deadline = None;
        }
        let outcomes: Vec<_> = write.ops.iter().map(|op| self.apply(op)).collect();
        let after = |ttl| Some(self.now.saturating_add(ttl).as_millis());
        self.row.deadline = match write.region_ttl {
            _ if self.row.entries.is_empty() => None,
            RegionTtl::Leave => self.row.deadline,
            RegionTtl::Start(ttl) => self.row.deadline.or_else(|| after(ttl)),
            RegionTtl::Restart(ttl) => after(ttl),
        };
        let stored = write.ops.iter().zip(&outcomes).filter(|it| *it.1 == OpOutcome::Stored);
        // A region with a marker alone is not shown.
        if stored.map(|(op, _)| op.key()).any(|key| key != MARKER_KEY) {
            for (depth, child) in region.segments().skip(1).enumerate() {
                let stamp = self.stamp[..=depth].to_vec();
                self.around[depth].children.insert(child.to_string(), stamp);
            }
        }
        outcomes
    }
}

#[async_trait]
impl Store for DbStore {
    async fn read(&self, region: &RegionPath, keys: &[&str], _: ReadTerms<'_>) -> Result<Read> {
        let path = self.look_at(region)?;
        let read = Read::new(keys.iter().map(|key| path.entry(key)).collect());
        Ok(read.lineage(path.exists.then_some(path.lineage)))
    }

    async fn begin(&self, region: &RegionPath, keys: &[&str], terms: LeaseTerms) -> Result<Begun> {
        self.change(region, |path| {
            path.exists = true;
            let keys = keys.iter().map(|key| path.begin(key, terms)).collect();
            Begun::new(path.lineage.clone(), keys)
        })
    }

    async fn write(&self, region: &RegionPath, write: Write<'_>) -> Result<Written> {
        self.change(region, |path| {
            if write.guard.is_some_and(|guard| !path.holds(guard)) {
                return Written::Fenced;
            }
            path.exists = true;
            Written::Applied(Applied::new(path.write(write, region)))
        })
    }

    async fn end(&self, region: &RegionPath, EndTerms { verb, .. }: EndTerms) -> Result<Ended> {
        self.change(region, |path| {
            if matches!(verb, Verb::Touch | Verb::InvalidateAndTouch) {
                // Those that exist lose entries even if the region itself is missing.
                path.exists = true;
                path.around.iter_mut().for_each(Row::drop_entries);
                path.row.drop_entries();
            }
            match verb {
                Verb::Touch => {}
                Verb::Expire if path.row.expirations.len() < MAX_EXPIRATIONS => {
                    path.row.expirations.push(path.now.as_millis());
                }
                // All that is below belongs to a life that is over.
                _ => path.row = Row::new(),
            }
        })?;
        Ok(Ended::new())
    }

    fn release(&self, region: &RegionPath, keys: &[&str], token: LeaseToken) {
        let released = self.change(region, |path| {
            let is_token = |held: &Held| held.token == token.to_bits();
            // The leases whose time is over.
            path.row.leases.retain(|key, held| !is_token(held) || !keys.contains(&key.as_str()));
        });
        // A lease that is not given back ends by itself.
        drop(released);
    }

    async fn scan(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<ScanItem>> {
        let path = self.look_at(region)?;
        Ok(page(&path.row.entries, &terms, |key, _| {
            if key == MARKER_KEY {
                return None;
            }
            let Entry { bytes, freshness } = path.entry(key)?;
            let item = ScanItem::new(key.to_owned(), freshness);
            Some(item.bytes((terms.show == Show::Entries).then_some(bytes)))
        }))
    }

    async fn children(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<Segment>> {
        let path = self.look_at(region)?;
        Ok(page(&path.row.children, &terms, |child, stamp| {
            Segment::parse(child).ok().filter(|_| path.is_same_life(stamp))
        }))
    }

    async fn len(&self, region: &RegionPath) -> Result<u64> {
        let path = self.look_at(region)?;
        let keys = path.row.entries.keys().filter(|key| **key != MARKER_KEY);
        Ok(keys.filter_map(|key| path.fresh_entry(key)).count() as u64)
    }

    fn listen(&self, _: Arc<dyn Listener>) -> Option<Listening> {
        None
    }

    async fn now(&self) -> Result<Timestamp> {
        Ok(self.clock.now())
    }
}

/// Returns a page of what `item` makes of the rows after the key in the cursor.
fn page<V, T>(
    rows: &BTreeMap<String, V>,
    terms: &PageTerms,
    item: impl Fn(&str, &V) -> Option<T>,
) -> Page<T> {
    let after = terms.cursor.as_ref().map(|cursor| String::from_utf8_lossy(cursor.as_bytes()));
    let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let rest = rows.range::<str, _>((from, Bound::Unbounded));
    let page: Vec<_> = rest.take(terms.limit.max(1)).collect();
    let next = page.last().map(|(key, _)| Cursor::from_bytes(key.as_bytes()));
    Page::new(page.iter().filter_map(|(key, row)| item(key, row)).collect(), next)
}

fn failed(error: impl Into<redb::Error>) -> Error {
    Error::new(ErrorKind::Store, "the database failed").with_source(error.into())
}

fn corrupt(what: &str) -> Error {
    Error::new(ErrorKind::Protocol, what)
}

/// Milliseconds since 1970: a clock that goes on between runs.
#[derive(Debug)]
pub(crate) struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Timestamp::default().saturating_add(since)
    }
}

#[allow(clippy::print_stdout, dead_code)]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    use region_cache::{Region, RegionCache, RegionExt};

    let file = std::env::temp_dir().join("region-cache-custom-store.redb");
    let store = DbStore::new(Arc::new(Database::create(&file)?), WallClock)?;
    let runs = RegionCache::builder(store).root("example").build()?.region("runs")?;
    let before = runs.get::<u32>("count").await?.map_or(0, |count| *count);
    runs.set("count", &(before + 1)).await?;
    println!("run {} with the cache in {}", before + 1, file.display());
    Ok(())
}
