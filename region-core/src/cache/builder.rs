use std::sync::Arc;

use super::{RegionCache, Shared};
use crate::error::{Error, ErrorKind, Result};
use crate::handle::RegionHandle;
use crate::load::Flights;
use crate::path::RegionPath;
use crate::policy::Policy;
use crate::stats::Counters;
use crate::store::{SharedStore, Store};
use crate::value::serializer::Serializer;

/// The root's name where none is given.
const DEFAULT_ROOT: &str = "root";

/// Builds a [`RegionCache`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct RegionCacheBuilder {
    store: SharedStore,
    root: String,
    policy: Policy,
    region_policies: Vec<(String, Policy)>,
}

impl RegionCache {
    /// Begins a cache over `store`.
    pub fn builder(store: impl Store) -> RegionCacheBuilder {
        RegionCacheBuilder {
            store: Arc::new(store),
            root: DEFAULT_ROOT.to_owned(),
            policy: Policy::new(),
            region_policies: Vec::new(),
        }
    }
}

impl RegionCacheBuilder {
    /// Where the cache's regions lie: a path as text, most often one name. Caches over one store
    /// share what they keep if and only if their roots are the same. `"root"` if not given.
    pub fn root(mut self, root: impl Into<String>) -> Self {
        self.root = root.into();
        self
    }

    /// The root's policy, which all regions inherit.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy.within(&self.policy);
        self
    }

    /// How values become bytes where no region says otherwise; [`Postcard`](crate::Postcard) if not
    /// given.
    pub fn serializer(mut self, serializer: impl Serializer) -> Self {
        self.policy = self.policy.serializer(serializer);
        self
    }

    /// The policy of the regions that have these names below the root, whatever their ids, and of
    /// what lies in them: `"org.project"` stands for `org:1.project:1` and all others. What it says
    /// goes before what a [`Regioned`](crate::Regioned) type says.
    pub fn region_policy(mut self, names: impl Into<String>, policy: Policy) -> Self {
        self.region_policies.push((names.into(), policy));
        self
    }

    /// The cache.
    ///
    /// # Errors
    /// [`InvalidPath`](ErrorKind::InvalidPath) for a bad root or a bad path of names;
    /// [`InvalidPolicy`](ErrorKind::InvalidPolicy) for a policy that is no good, and for two
    /// policies of the same names.
    pub fn build(self) -> Result<RegionCache> {
        let root = RegionPath::parse(&self.root)?;
        let mut region_policies: Vec<(Vec<String>, Policy)> = Vec::new();
        for (text, policy) in self.region_policies {
            let names = names(&text)?;
            policy.check().map_err(|error| about_names(&error, &text))?;
            if region_policies.iter().any(|(given, _)| *given == names) {
                let error = Error::new(ErrorKind::InvalidPolicy, "given a second time");
                return Err(about_names(&error, &text));
            }
            region_policies.push((names, policy));
        }
        let shared = Shared {
            store: self.store,
            counters: Counters::default(),
            flights: Flights::default(),
            region_policies,
            root_depth: root.depth(),
        };
        Ok(RegionCache { root: RegionHandle::root(Arc::new(shared), root, &self.policy)? })
    }
}

fn about_names(error: &Error, names: &str) -> Error {
    Error::new(error.kind(), format!("the policy for regions {names:?}: {error}"))
}

/// The names in a path of names; ids are refused, for they would never fit.
fn names(text: &str) -> Result<Vec<String>> {
    let path = RegionPath::parse(text)?;
    let name = |segment: crate::path::Segment| match segment.id() {
        None => Ok(segment.name().into_owned()),
        Some(_) => Err(Error::new(
            ErrorKind::InvalidPath,
            format!(
                "{text:?} names regions by their segments' names alone: leave the id of {segment} out"
            ),
        )),
    };
    path.segments().map(name).collect()
}
