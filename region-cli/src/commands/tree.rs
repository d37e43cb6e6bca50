//! `region tree`: the regions below a path.

mod bytes;

use std::fmt;

use region_cache::{PageTerms, RegionPath, Store};
use serde::Serialize;

use crate::args::{Bounds, Tree};
use crate::exit::{Code, Failure};
use crate::output::Output;
use crate::progress::Progress;
use crate::target::{Root, Target};
use crate::text::{self, count};

/// The number of children that one page asks for.
const PAGE: usize = 256;

/// The regions that were listed.
#[derive(Debug, Serialize)]
pub(crate) struct TreeReport {
    root: String,
    region: String,
    pub(crate) regions: Vec<Listed>,
    /// The sum over the regions that are listed.
    entries: u64,
    /// The sum of the memory; `None`: it was not asked for, or not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// The reason for which the memory is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) no_bytes: Option<String>,
    pub(crate) cut: Cut,
}

/// A region in the list.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    pub(crate) region: String,
    /// The number of levels below the region that the list begins at.
    pub(crate) depth: usize,
    pub(crate) entries: u64,
    /// The memory that the entries take, as the server estimates it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
    #[serde(skip)]
    pub(crate) label: String,
    /// True if it has regions inside that the depth leaves out.
    #[serde(skip)]
    pub(crate) is_cut: bool,
    #[serde(skip)]
    path: RegionPath,
}

/// The regions that the list leaves out.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Cut {
    /// The number of listed regions with regions inside that the depth leaves out.
    by_depth: u64,
    /// True if there are more regions than the limit.
    pub(crate) by_limit: bool,
}

pub(crate) async fn run(target: &Target, tree: &Tree, output: Output) -> Result<Code, Failure> {
    let region = target.root.region(&tree.path)?;
    let mut report = list(target, &region, tree.bounds, Progress::start()).await?;
    if tree.bytes {
        report.measure(target).await?;
    }
    output.print(&report)?;
    Ok(Code::Done)
}

/// Goes down the tree, the first child first. No more is kept than is listed, and the children that are still to
/// be listed.
pub(crate) async fn list(
    target: &Target,
    top: &RegionPath,
    bounds: Bounds,
    mut progress: Progress,
) -> Result<TreeReport, Failure> {
    let Target { store, root, .. } = target;
    let limit = usize::try_from(bounds.limit).unwrap_or(usize::MAX);
    let (mut regions, mut cut) = (Vec::new(), Cut::default());
    let mut to_list = vec![(top.clone(), 0)];
    while let Some((region, depth)) = to_list.pop() {
        if regions.len() == limit {
            cut.by_limit = true;
            break;
        }
        let entries = store.len(&region).await?;
        let mut listed = Listed::new(root, region, depth, entries);
        if depth < bounds.depth {
            let room = limit - regions.len();
            let mut below = children(store, &listed.path, room).await?;
            below.reverse();
            to_list.extend(below.into_iter().map(|child| (child, depth + 1)));
        } else if !children(store, &listed.path, 1).await?.is_empty() {
            listed.is_cut = true;
            cut.by_depth += 1;
        }
        regions.push(listed);
        progress.tell(|| format!("{} so far", count(regions.len() as u64, "region", "regions")));
    }
    Ok(TreeReport {
        root: root.path().to_string(),
        region: root.name(top),
        entries: regions.iter().map(|listed| listed.entries).sum(),
        regions,
        bytes: None,
        no_bytes: None,
        cut,
    })
}

/// The children of a region in the order of their names, each once; at most `limit` of them.
async fn children(
    store: &impl Store,
    region: &RegionPath,
    limit: usize,
) -> Result<Vec<RegionPath>, Failure> {
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let terms = PageTerms::new(PAGE.min(limit)).cursor(cursor);
        let page = store.children(region, terms).await?;
        for segment in page.items {
            found.push(region.join(&segment).map_err(region_cache::Error::from)?);
        }
        // A page may list what an earlier one has listed.
        found.sort();
        found.dedup();
        cursor = page.next;
        if cursor.is_none() || found.len() >= limit {
            found.truncate(limit);
            return Ok(found);
        }
    }
}

impl Listed {
    fn new(root: &Root, path: RegionPath, depth: usize, entries: u64) -> Self {
        let region = root.name(&path);
        let label = if depth == 0 { region.clone() } else { path.last().to_string() };
        Self { region, depth, entries, bytes: None, label, is_cut: false, path }
    }

    /// The numbers in words.
    fn numbers(&self) -> String {
        numbers(self.entries, self.bytes)
    }
}

/// The numbers of a region, or of all, in words.
fn numbers(entries: u64, bytes: Option<u64>) -> String {
    let entries = count(entries, "entry", "entries");
    match bytes {
        None => entries,
        Some(bytes) => format!("{entries}, {}", text::bytes(bytes)),
    }
}

impl fmt::Display for TreeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indented = |listed: &Listed| format!("{:1$}{2}", "", listed.depth * 2, listed.label);
        let width = self.regions.iter().map(|listed| indented(listed).chars().count()).max();
        for listed in &self.regions {
            let numbers = listed.numbers();
            writeln!(f, "{:1$}  {numbers}", indented(listed), width.unwrap_or_default())?;
        }
        let regions = count(self.regions.len() as u64, "region", "regions");
        writeln!(f, "{regions}, {}", numbers(self.entries, self.bytes))?;
        if let Some(why) = &self.no_bytes {
            writeln!(f, "no bytes: {why}")?;
        }
        match self.cut.by_depth {
            0 => {}
            1 => writeln!(f, "cut: 1 region has regions inside that --depth leaves out")?,
            cut => writeln!(f, "cut: {cut} regions have regions inside that --depth leaves out")?,
        }
        if self.cut.by_limit {
            writeln!(f, "cut: there are more regions than --limit")?;
        }
        Ok(())
    }
}
