//! A backend of one's own: regions in a file, over the embedded database redb.
//!
//! `cargo run --example custom_store` counts its runs: the cache is still warm the next time.
//! `tests/custom_store.rs` runs the conformance suite on it.
//!
//! A region is one row, read and written whole, and every method is one transaction: that makes it
//! short and atomic, and slow for regions with many entries. The database waits for the disk inside
//! the call, which a server would move to a thread of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use redb::{Database, ReadableDatabase, ReadableTable, Table, TableDefinition};
use region_cache::{
    Applied, Begun, BegunKey, Clock, Cursor, EndTerms, Ended, Entry, Error, ErrorKind, Freshness,
    Incarnation, Incarnations, Lease, LeaseTerms, LeaseToken, Lifetime, Lineage, Listener,
    Listening, Op, OpOutcome, Page, PageTerms, Put, Read, ReadTerms, RegionPath, RegionTtl, Result,
    ScanItem, Segment, Show, Store, TakeLease, Timestamp, Verb, When, Write, Written,
};
use serde::{Deserialize, Serialize};

const REGIONS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("regions");

/// How many expirations a region remembers.
const REMEMBERED: usize = 64;

/// A region as it is kept.
#[derive(Serialize, Deserialize)]
struct Row {
    tree: u64,
    soft: u64,
    /// When it was expired, and the `soft` that ended then.
    expired: Vec<(u64, u64)>,
    /// The lineage that the entries were stored under.
    stamp: Vec<u8>,
    deadline: Option<u64>,
    entries: BTreeMap<String, Slot>,
    leases: BTreeMap<String, Held>,
    /// The children, and the `tree`s they were put to under.
    children: BTreeMap<String, Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct Slot {
    bytes: Vec<u8>,
    fresh_until: Option<u64>,
    stale_for: u64,
    /// The `soft` of each region on the path when this was put.
    softs: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
struct Held {
    token: u64,
    until: u64,
    under: (Vec<u8>, u64),
}

/// What a region's validity depends on, at one moment.
struct View {
    lineage: Lineage,
    now: Timestamp,
    softs: Vec<u64>,
    expired: Vec<Vec<(u64, u64)>>,
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

    /// Looks at a region; `None` if it, or one around it, is missing.
    fn look_at<T>(
        &self,
        path: &RegionPath,
        look: impl FnOnce(&Row, &View) -> Result<T>,
    ) -> Result<Option<T>> {
        let read = self.db.begin_read().map_err(failed)?;
        let table = read.open_table(REGIONS).map_err(failed)?;
        let rows: Result<Option<Vec<Row>>> =
            path.prefixes().map(|name| row(&table, name)).collect();
        let Some(rows) = rows? else { return Ok(None) };
        let view = View::new(&rows, self.clock.now())?;
        rows.last().map(|row| look(row, &view)).transpose()
    }

    /// Changes a region and those around it, the outermost first, in one step. Those that do not
    /// exist are created, with `create`.
    fn change<T>(
        &self,
        path: &RegionPath,
        create: bool,
        change: impl FnOnce(&mut [Row], &View) -> Result<T>,
    ) -> Result<Option<T>> {
        let write = self.db.begin_write().map_err(failed)?;
        let mut table = write.open_table(REGIONS).map_err(failed)?;
        let mut rows = Vec::with_capacity(path.depth());
        for name in path.prefixes() {
            match row(&table, name)? {
                Some(row) => rows.push(row),
                None if create => rows.push(Row::new()),
                None => return Ok(None),
            }
        }
        let view = View::new(&rows, self.clock.now())?;
        let changed = change(&mut rows, &view)?;
        for (name, row) in path.prefixes().zip(&rows) {
            save(&mut table, name, row)?;
        }
        drop(table);
        write.commit().map_err(failed)?;
        Ok(Some(changed))
    }
}

impl Row {
    fn new() -> Self {
        let [tree, soft] = [(); 2].map(|()| Incarnation::random().to_bits());
        let (entries, leases, children) = Default::default();
        Self {
            tree,
            soft,
            expired: vec![],
            stamp: vec![],
            deadline: None,
            entries,
            leases,
            children,
        }
    }

    /// Drops what the region itself holds: its entries, their deadline and the leases.
    fn drop_entries(&mut self) {
        self.deadline = None;
        self.entries.clear();
        self.leases.clear();
    }

    fn is_alive(&self, view: &View) -> bool {
        self.stamp == view.lineage.life_bytes()
            && self.deadline.is_none_or(|deadline| view.now.as_millis() < deadline)
    }

    /// The entry at `key`, if it is valid.
    fn entry(&self, key: &str, view: &View) -> Option<Entry> {
        let slot = self.entries.get(key).filter(|_| self.is_alive(view))?;
        let left = |end: Option<u64>| {
            let end = end.into_iter().chain(self.deadline).min().map(Timestamp::from_millis);
            Lifetime::left(end, view.now)
        };
        let unexpired = slot.softs == view.softs;
        let freshness = match left(slot.fresh_until).filter(|_| unexpired) {
            Some(left) => Freshness::Fresh { left },
            None => {
                let path = slot.softs.iter().zip(&view.expired);
                let ended = path.flat_map(|(soft, expired)| {
                    expired.iter().filter(move |(_, ended)| ended == soft)
                });
                let since = ended.map(|(at, _)| *at).chain(slot.fresh_until).min()?;
                Freshness::Stale { left: left(Some(since.saturating_add(slot.stale_for)))? }
            }
        };
        Some(Entry::new(slot.bytes.clone().into(), freshness))
    }

    fn held(&self, key: &str, view: &View) -> Option<&Held> {
        let is_live = |held: &&Held| held.until > view.now.as_millis() && held.under == view.mark();
        self.leases.get(key).filter(is_live)
    }

    fn begin(&mut self, key: &str, terms: LeaseTerms, view: &View) -> BegunKey {
        let entry = self.entry(key, view);
        let is_wanted =
            terms.take != TakeLease::UnlessFresh || !entry.as_ref().is_some_and(Entry::is_fresh);
        let token = terms.token.to_bits();
        let lease = match self.held(key, view) {
            Some(held) if held.token != token && is_wanted => {
                let left = Timestamp::from_millis(held.until).since(view.now);
                Lease::Held { by: LeaseToken::from_bits(held.token), left }
            }
            None if !is_wanted || terms.take == TakeLease::Extend => Lease::NotTaken,
            Some(held) if held.token != token => Lease::NotTaken,
            _ => {
                let until = view.now.saturating_add(terms.duration).as_millis();
                self.leases.insert(key.to_owned(), Held { token, until, under: view.mark() });
                Lease::Granted
            }
        };
        BegunKey::new(entry, lease)
    }

    fn apply(&mut self, op: &Op<'_>, view: &View) -> OpOutcome {
        let there = self.entry(op.key(), view);
        let is_fresh = there.as_ref().is_some_and(Entry::is_fresh);
        let outcome = match (op, there) {
            (Op::Put(Put { when, .. }), Some(there)) if is_fresh && in_the_way(when, &there) => {
                return OpOutcome::Exists(there);
            }
            (Op::Put(put), _) => {
                let slot = Slot {
                    bytes: put.bytes.to_vec(),
                    fresh_until: put.fresh_for.end(view.now).map(Timestamp::as_millis),
                    stale_for: put.stale_for.as_millis() as u64,
                    softs: view.softs.clone(),
                };
                self.entries.insert(put.key.to_owned(), slot);
                OpOutcome::Stored
            }
            (Op::Remove { key }, _) => {
                self.entries.remove(*key);
                OpOutcome::Removed(is_fresh)
            }
            (Op::Take { key }, there) => {
                self.entries.remove(*key);
                OpOutcome::Taken(there)
            }
        };
        self.leases.remove(op.key());
        outcome
    }
}

impl View {
    fn new(path: &[Row], now: Timestamp) -> Result<Self> {
        let id = Incarnation::from_bits;
        let ids = |row: &Row| Incarnations { tree: id(row.tree), soft: id(row.soft) };
        let lineage =
            Lineage::new(path.iter().map(ids)).ok_or_else(|| corrupt("a path without a region"))?;
        let softs = path.iter().map(|row| row.soft).collect();
        Ok(Self {
            lineage,
            now,
            softs,
            expired: path.iter().map(|row| row.expired.clone()).collect(),
        })
    }

    fn mark(&self) -> (Vec<u8>, u64) {
        (self.lineage.life_bytes(), self.lineage.soft_mark())
    }
}

#[async_trait]
impl Store for DbStore {
    async fn read(&self, region: &RegionPath, keys: &[&str], _: ReadTerms) -> Result<Read> {
        let read = self.look_at(region, |row, view| {
            let entries = keys.iter().map(|key| row.entry(key, view)).collect();
            Ok(Read::new(entries).lineage(Some(view.lineage.clone())))
        })?;
        Ok(read.unwrap_or_else(|| Read::nothing(keys.len())))
    }

    async fn begin(&self, region: &RegionPath, keys: &[&str], terms: LeaseTerms) -> Result<Begun> {
        let begun = self.change(region, true, |path, view| {
            let row = own(path)?;
            let keys = keys.iter().map(|key| row.begin(key, terms, view)).collect();
            Ok(Begun::new(view.lineage.clone(), keys))
        })?;
        begun.ok_or_else(|| corrupt("a region that was not created"))
    }

    async fn write(&self, region: &RegionPath, write: Write<'_>) -> Result<Written> {
        let segments: Vec<Segment> = region.segments().skip(1).collect();
        let written = self.change(region, write.guard.is_none(), |path, view| {
            let row = own(path)?;
            if let Some(guard) = write.guard {
                let token = guard.token.to_bits();
                let is_held =
                    |key: &&str| row.held(key, view).is_some_and(|held| held.token == token);
                if view.lineage != *guard.lineage || !guard.keys.iter().all(is_held) {
                    return Ok(Written::Fenced);
                }
            }
            if !row.is_alive(view) {
                (row.stamp, row.deadline) = (view.lineage.life_bytes(), None);
                row.entries.clear();
            }
            let outcomes: Vec<_> = write.ops.iter().map(|op| row.apply(op, view)).collect();
            let after = |ttl| Some(view.now.saturating_add(ttl).as_millis());
            row.deadline = match write.region_ttl {
                _ if row.entries.is_empty() => None,
                RegionTtl::Leave => row.deadline,
                RegionTtl::Start(ttl) => row.deadline.or_else(|| after(ttl)),
                RegionTtl::Restart(ttl) => after(ttl),
            };
            if outcomes.contains(&OpOutcome::Stored) {
                let trees: Vec<u8> = path.iter().flat_map(|row| row.tree.to_le_bytes()).collect();
                for (depth, (parent, child)) in path.iter_mut().zip(&segments).enumerate() {
                    let trees = trees[..(depth + 1) * size_of::<u64>()].to_vec();
                    parent.children.insert(child.to_string(), trees);
                }
            }
            Ok(Written::Applied(Applied::new(outcomes)))
        })?;
        Ok(written.unwrap_or(Written::Fenced))
    }

    async fn end(&self, region: &RegionPath, terms: EndTerms) -> Result<Ended> {
        let create = matches!(terms.verb, Verb::Touch | Verb::InvalidateAndTouch);
        let ended = self.change(region, create, |path, view| {
            let fresh = || Incarnation::random().to_bits();
            if create {
                path.iter_mut().for_each(Row::drop_entries);
            }
            match terms.verb {
                Verb::Touch => {}
                Verb::Invalidate | Verb::InvalidateAndTouch => own(path)?.tree = fresh(),
                Verb::Expire => {
                    let row = own(path)?;
                    row.expired.push((view.now.as_millis(), row.soft));
                    row.soft = fresh();
                    // What was put before those that are forgotten is gone rather than stale.
                    let surplus = row.expired.len().saturating_sub(REMEMBERED);
                    row.expired.drain(..surplus);
                }
            }
            Ok(())
        });
        ended.map(|_| Ended::new())
    }

    fn release(&self, region: &RegionPath, keys: &[&str], token: LeaseToken) {
        let released = self.change(region, false, |path, _| {
            let leases = &mut own(path)?.leases;
            leases.retain(|key, held| held.token != token.to_bits() || !keys.contains(&&**key));
            Ok(())
        });
        // A lease that is not given back ends by itself.
        drop(released);
    }

    async fn scan(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<ScanItem>> {
        let page = self.look_at(region, |row, view| {
            page(&row.entries, &terms, |key, _| {
                let Entry { bytes, freshness } = row.entry(key, view)?;
                let item = ScanItem::new(key.to_owned(), freshness);
                Some(item.bytes((terms.show == Show::Entries).then_some(bytes)))
            })
        })?;
        Ok(page.unwrap_or_else(Page::end))
    }

    async fn children(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<Segment>> {
        let page = self.look_at(region, |row, view| {
            let trees = view.lineage.life_bytes();
            page(&row.children, &terms, |child, under| {
                Segment::parse(child).ok().filter(|_| *under == trees)
            })
        })?;
        Ok(page.unwrap_or_else(Page::end))
    }

    async fn len(&self, region: &RegionPath) -> Result<u64> {
        let fresh = |row: &Row, view: &View| {
            let entries = row.entries.keys().filter_map(|key| row.entry(key, view));
            Ok(entries.filter(Entry::is_fresh).count() as u64)
        };
        Ok(self.look_at(region, fresh)?.unwrap_or_default())
    }

    fn listen(&self, _: Arc<dyn Listener>) -> Option<Listening> {
        None
    }

    async fn now(&self) -> Result<Timestamp> {
        Ok(self.clock.now())
    }
}

/// The region itself, last on its path.
fn own(path: &mut [Row]) -> Result<&mut Row> {
    path.last_mut().ok_or_else(|| corrupt("a path without a region"))
}

fn in_the_way(when: &When, there: &Entry) -> bool {
    match when {
        When::Always => false,
        When::Absent => true,
        When::AbsentOrHolding(bytes) => *bytes != there.bytes,
    }
}

/// The items after the key in `cursor`, and the key to go on after.
fn page<V, T>(
    rows: &BTreeMap<String, V>,
    terms: &PageTerms,
    item: impl Fn(&str, &V) -> Option<T>,
) -> Result<Page<T>> {
    let cursor = terms.cursor.as_ref().map(|cursor| std::str::from_utf8(cursor.as_bytes()));
    let after = cursor.transpose().map_err(|_| corrupt("not a cursor of this store"))?;
    let limit = terms.limit.max(1);
    let rest = rows.iter().filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
    let rest: Vec<_> = rest.take(limit.saturating_add(1)).collect();
    let next = (rest.len() > limit).then(|| Cursor::from_bytes(rest[limit - 1].0.as_bytes()));
    let items = rest.iter().take(limit).filter_map(|(key, row)| item(key, row)).collect();
    Ok(Page::new(items, next))
}

fn row(table: &impl ReadableTable<&'static str, &'static [u8]>, name: &str) -> Result<Option<Row>> {
    let row = table.get(name).map_err(failed)?;
    row.map(|row| {
        postcard::from_bytes(row.value()).map_err(|_| corrupt("a row that cannot be read"))
    })
    .transpose()
}

fn save(table: &mut Table<'_, &'static str, &'static [u8]>, name: &str, row: &Row) -> Result<()> {
    let bytes = postcard::to_stdvec(row).map_err(|_| corrupt("a row that cannot be written"))?;
    table.insert(name, bytes.as_slice()).map(drop).map_err(failed)
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
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
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
