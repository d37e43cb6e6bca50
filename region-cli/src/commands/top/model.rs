//! What is shown, and how it follows from what is seen.

use std::collections::HashMap;
use std::time::Duration;

use super::Seen;
use crate::commands::watch::Change;
use crate::raw::Info;
use crate::target::Root;

/// The most regions whose changes are told apart.
const MOST_REGIONS: usize = 10_000;

/// The time over which a rate is averaged: what is older counts for little.
const MEMORY: Duration = Duration::from_secs(5);

/// The rate below which a region is forgotten, in changes a second.
const FORGOTTEN: f64 = 0.02;

/// What is shown.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) root: String,
    pub(crate) servers: Vec<ServerRow>,
    regions: HashMap<String, Rate>,
    /// The regions that are too many to be told apart.
    others: Rate,
    /// True while no changes are pushed.
    pub(crate) is_lost: bool,
    pub(crate) flushes: u64,
    last: HashMap<String, Sample>,
}

/// The changes of a region.
#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    per_second: f64,
    /// Since the last picture.
    new: u64,
}

/// The numbers of a server.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ServerRow {
    pub(crate) server: String,
    /// False if it is down, or does not tell.
    pub(crate) is_up: bool,
    pub(crate) calls: u64,
    pub(crate) clients: u64,
    pub(crate) memory: u64,
    /// 0: no limit.
    pub(crate) max_memory: u64,
    pub(crate) evictions: f64,
    /// Of the keys that were looked for since the last sample, how many in a hundred were there.
    pub(crate) found: Option<f64>,
}

/// Numbers that grow.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    evicted: u64,
    hits: u64,
    misses: u64,
}

impl Rate {
    fn pass(&mut self, time: Duration) {
        let keeps = (-time.as_secs_f64() / MEMORY.as_secs_f64()).exp();
        let now = self.new as f64 / time.as_secs_f64();
        self.per_second = self.per_second * keeps + now * (1.0 - keeps);
        self.new = 0;
    }
}

impl Model {
    pub(crate) fn new(root: &str) -> Self {
        Self {
            root: root.to_owned(),
            servers: Vec::new(),
            regions: HashMap::new(),
            others: Rate::default(),
            is_lost: false,
            flushes: 0,
            last: HashMap::new(),
        }
    }

    /// Takes what a server has pushed.
    pub(crate) fn take(&mut self, root: &Root, change: &Change) {
        match change {
            Change::Key(key) => {
                let region = key.parse().map(|(_, region)| region);
                if let Some(region) = region.filter(|region| region.is_within(root.path())) {
                    self.change(root.name(&region));
                }
            }
            Change::All => self.flushes += 1,
            Change::Lost => self.is_lost = true,
        }
    }

    /// Counts a change of a region.
    pub(crate) fn change(&mut self, region: String) {
        let is_known = self.regions.contains_key(&region);
        if is_known || self.regions.len() < MOST_REGIONS {
            self.regions.entry(region).or_default().new += 1;
        } else {
            self.others.new += 1;
        }
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.others.pass(time);
        self.regions.retain(|_, rate| {
            rate.pass(time);
            rate.per_second >= FORGOTTEN
        });
    }

    /// The regions with the most changes a second, the busiest first; of those beyond them the sum.
    pub(crate) fn busiest(&self, most: usize) -> (Vec<(&str, f64)>, f64) {
        let mut all: Vec<_> =
            self.regions.iter().map(|(region, rate)| (region.as_str(), rate.per_second)).collect();
        all.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(other.0)));
        let rest = all.split_off(most.min(all.len()));
        (all, self.others.per_second + rest.iter().map(|(_, rate)| rate).sum::<f64>())
    }

    /// Takes what the servers have told, `every` after what they told before.
    pub(crate) fn see(&mut self, seen: Vec<Seen>, every: Duration) {
        let last = std::mem::take(&mut self.last);
        self.servers = Vec::with_capacity(seen.len());
        for (server, info) in seen {
            let Some(info) = info else {
                self.servers.push(ServerRow { server, ..ServerRow::default() });
                continue;
            };
            let sample = Sample::of(&info);
            self.servers.push(sample.row(server.clone(), &info, last.get(&server), every));
            self.last.insert(server, sample);
        }
    }
}

impl Sample {
    fn of(info: &Info) -> Self {
        let number = |name| info.number(name).unwrap_or(0);
        Self {
            evicted: number("evicted_keys"),
            hits: number("keyspace_hits"),
            misses: number("keyspace_misses"),
        }
    }

    fn row(self, server: String, info: &Info, last: Option<&Self>, every: Duration) -> ServerRow {
        let number = |name| info.number(name).unwrap_or(0);
        let since = |now: u64, last: Option<u64>| last.map_or(0, |last| now.saturating_sub(last));
        let evicted = since(self.evicted, last.map(|last| last.evicted));
        let hits = since(self.hits, last.map(|last| last.hits));
        let asked = hits + since(self.misses, last.map(|last| last.misses));
        ServerRow {
            server,
            is_up: true,
            calls: number("instantaneous_ops_per_sec"),
            clients: number("connected_clients"),
            memory: number("used_memory"),
            max_memory: number("maxmemory"),
            evictions: evicted as f64 / every.as_secs_f64(),
            found: (asked > 0).then(|| hits as f64 * 100.0 / asked as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_busiest_regions_come_first_and_are_forgotten() {
        let mut model = Model::new("shop");
        for (region, changes) in [("a", 1), ("b", 30), ("c", 7)] {
            (0..changes).for_each(|_| model.change(region.to_owned()));
        }
        model.pass(SECOND);
        let (busiest, rest) = model.busiest(2);
        assert_eq!(busiest.iter().map(|(region, _)| *region).collect::<Vec<_>>(), ["b", "c"]);
        assert!(rest > 0.0 && busiest[0].1 > busiest[1].1);
        (0..60).for_each(|_| model.pass(SECOND));
        assert_eq!(model.busiest(9), (Vec::new(), 0.0));
    }

    #[test]
    fn no_more_regions_are_told_apart_than_the_limit() {
        let mut model = Model::new("shop");
        (0..MOST_REGIONS + 5).for_each(|id| model.change(format!("item:{id}")));
        assert_eq!((model.regions.len(), model.others.new), (MOST_REGIONS, 5));
    }

    #[test]
    fn numbers_that_grow_are_shown_as_what_they_grow_by() {
        let mut model = Model::new("shop");
        let info = |evicted: u64, hits: u64, misses: u64| {
            let text = format!(
                "evicted_keys:{evicted}\r\nkeyspace_hits:{hits}\r\nkeyspace_misses:{misses}\r\n"
            );
            vec![("redis://h".to_owned(), Some(Info::parse(&text)))]
        };
        model.see(info(10, 100, 100), SECOND);
        assert_eq!((model.servers[0].evictions, model.servers[0].found), (0.0, None));
        model.see(info(14, 103, 101), 2 * SECOND);
        assert_eq!((model.servers[0].evictions, model.servers[0].found), (2.0, Some(75.0)));
        model.see(vec![("redis://h".to_owned(), None)], SECOND);
        assert!(!model.servers[0].is_up);
    }
}
