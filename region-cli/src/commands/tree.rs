//! `region tree`: the regions below a path.

use std::fmt;

use region_cache::{PageTerms, RegionPath, Store};
use serde::Serialize;

use crate::args::Tree;
use crate::exit::{Code, Failure};
use crate::output::Output;
use crate::progress::Progress;
use crate::target::{Root, Target};
use crate::text::count;

/// The number of children that one page asks for.
const PAGE: usize = 256;

/// The regions that were listed.
#[derive(Debug, Serialize)]
struct TreeReport {
    root: String,
    region: String,
    regions: Vec<Listed>,
    /// The sum over the regions that are listed.
    entries: u64,
    cut: Cut,
}

/// A region in the list.
#[derive(Debug, Serialize)]
struct Listed {
    region: String,
    /// The number of levels below the region that the list begins at.
    depth: usize,
    entries: u64,
    #[serde(skip)]
    label: String,
}

/// The regions that the list leaves out.
#[derive(Debug, Default, Serialize)]
struct Cut {
    /// The number of listed regions with regions inside that the depth leaves out.
    by_depth: u64,
    /// True if there are more regions than the limit.
    by_limit: bool,
}

pub(crate) async fn run(target: &Target, tree: &Tree, output: Output) -> Result<Code, Failure> {
    let region = target.root.region(&tree.path)?;
    let report = walk(&target.store, &target.root, &region, tree).await?;
    output.print(&report)?;
    Ok(Code::Done)
}

/// Goes down the tree, the first child first. No more is kept than is listed, and the children that are still to
/// be listed.
async fn walk(
    store: &impl Store,
    root: &Root,
    top: &RegionPath,
    tree: &Tree,
) -> Result<TreeReport, Failure> {
    let limit = usize::try_from(tree.limit).unwrap_or(usize::MAX);
    let (mut regions, mut cut, mut progress) = (Vec::new(), Cut::default(), Progress::start());
    let mut to_list = vec![(top.clone(), 0)];
    while let Some((region, depth)) = to_list.pop() {
        if regions.len() == limit {
            cut.by_limit = true;
            break;
        }
        let entries = store.len(&region).await?;
        let label = if depth == 0 { root.name(&region) } else { region.last().to_string() };
        regions.push(Listed { region: root.name(&region), depth, entries, label });
        if depth < tree.depth {
            let mut below = children(store, &region, limit - regions.len() + 1).await?;
            below.reverse();
            to_list.extend(below.into_iter().map(|child| (child, depth + 1)));
        } else if !children(store, &region, 1).await?.is_empty() {
            cut.by_depth += 1;
        }
        progress.tell(|| format!("{} so far", count(regions.len() as u64, "region", "regions")));
    }
    Ok(TreeReport {
        root: root.path().to_string(),
        region: root.name(top),
        entries: regions.iter().map(|listed| listed.entries).sum(),
        regions,
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

impl fmt::Display for TreeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indented = |listed: &Listed| format!("{:1$}{2}", "", listed.depth * 2, listed.label);
        let width = self.regions.iter().map(|listed| indented(listed).chars().count()).max();
        for listed in &self.regions {
            let entries = count(listed.entries, "entry", "entries");
            writeln!(f, "{:1$}  {entries}", indented(listed), width.unwrap_or_default())?;
        }
        let regions = count(self.regions.len() as u64, "region", "regions");
        writeln!(f, "{regions}, {}", count(self.entries, "entry", "entries"))?;
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
