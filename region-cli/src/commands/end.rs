//! `region invalidate`, `region touch` and `region expire`.

use std::fmt;

use region_cache::{EndTerms, PageTerms, RegionPath, Store, Verb};
use serde::Serialize;

use crate::args::End;
use crate::confirm::confirm;
use crate::exit::{Code, Failure};
use crate::output::Output;
use crate::target::Target;
use crate::text::count;

/// The number of children that the question names at most.
const NAMED: usize = 3;

/// A region that was ended.
#[derive(Debug, Serialize)]
struct EndReport {
    /// `invalidated`, `touched`, `expired`, or `invalidated and touched`.
    done: &'static str,
    region: String,
    /// The number of replicas that are known to have it; `null`: nobody waited for them.
    replicas: Option<u32>,
    /// The number of replicas that were waited for.
    wanted: Option<u32>,
}

pub(crate) async fn run(
    target: &Target,
    verb: Verb,
    end: &End,
    output: Output,
) -> Result<Code, Failure> {
    let region = target.root.region(&end.path)?;
    if !end.yes {
        confirm(&question(target, verb, &region).await?)?;
    }
    let replicas = match end.wait_for {
        None => {
            target.store.end(&region, EndTerms::new(verb)).await?;
            None
        }
        Some(wanted) => Some(target.store.end_and_wait(&region, verb, wanted, end.within).await?),
    };
    let report = EndReport {
        done: done(verb),
        region: target.root.name(&region),
        replicas,
        wanted: end.wait_for,
    };
    output.print(&report)?;
    Ok(if report.has_too_few() { Code::Wrong } else { Code::Done })
}

fn done(verb: Verb) -> &'static str {
    match verb {
        Verb::Invalidate => "invalidated",
        Verb::Touch => "touched",
        Verb::Expire => "expired",
        Verb::InvalidateAndTouch => "invalidated and touched",
    }
}

/// Says what the verb would end, and asks whether that is meant.
async fn question(target: &Target, verb: Verb, region: &RegionPath) -> Result<String, Failure> {
    let name = target.root.name(region);
    let entries = count(target.store.len(region).await?, "entry", "entries");
    let page = target.store.children(region, PageTerms::new(NAMED + 1)).await?;
    let mut inside: Vec<String> = page.items.iter().map(ToString::to_string).collect();
    inside.sort();
    inside.dedup();
    if inside.len() > NAMED || page.next.is_some() {
        inside.truncate(NAMED);
        inside.push("more".to_owned());
    }
    let inside = match inside.is_empty() {
        true => "and no regions inside it".to_owned(),
        false => format!("and the regions inside it ({})", inside.join(", ")),
    };
    Ok(match verb {
        Verb::Invalidate => format!("Invalidate {name}, which has {entries}, {inside}?"),
        Verb::Touch => format!("Touch {name}, which has {entries}, and the regions around it?"),
        Verb::Expire => format!("Expire {name}, which has {entries}, {inside}?"),
        Verb::InvalidateAndTouch => {
            format!("Invalidate {name}, which has {entries}, {inside}, and touch those around it?")
        }
    })
}

impl EndReport {
    fn has_too_few(&self) -> bool {
        self.replicas < self.wanted
    }
}

impl fmt::Display for EndReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.done, self.region)?;
        match (self.replicas, self.wanted) {
            (Some(replicas), Some(wanted)) if replicas < wanted => write!(
                f,
                "; only {replicas} of {wanted} replicas have it: a failover may undo it\n  \
                 It is safe to do it again."
            ),
            (Some(replicas), _) => {
                write!(f, "; {} it", count(replicas.into(), "replica has", "replicas have"))
            }
            (None, _) => Ok(()),
        }
    }
}
