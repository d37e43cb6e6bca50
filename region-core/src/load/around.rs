//! The load around a task, for a thread that runs a part of it.

use std::sync::Arc;

use super::dependencies::LoadDependencies;
use crate::engine::Chain;

/// The loads that the present task is part of, and the dependencies of the innermost.
pub(crate) struct AroundLoad {
    chain: Option<Arc<Chain>>,
    dependencies: Option<LoadDependencies>,
}

impl AroundLoad {
    pub(crate) fn current() -> Self {
        Self { chain: Chain::current(), dependencies: LoadDependencies::current().ok() }
    }

    /// Runs `part` as a part of the same loads.
    pub(crate) fn run<T>(self, part: impl FnOnce() -> T) -> T {
        let with_dependencies = || match self.dependencies {
            Some(dependencies) => dependencies.run_here(part),
            None => part(),
        };
        match self.chain {
            Some(chain) => chain.run_here(with_dependencies),
            None => with_dependencies(),
        }
    }
}
