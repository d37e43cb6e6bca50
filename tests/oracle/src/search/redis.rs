//! The cases of the world of servers.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{SearchCase, report};
use crate::check::{Violation, check};
use crate::history::History;
use crate::sim::redis::{RedisCase, run};

impl SearchCase for RedisCase {
    const PROGRAM: &'static str = " --bin oracle_redis";

    fn of_seed(seed: u64) -> Self {
        Self::new(seed)
    }

    fn run(&self) -> History {
        run(&self.plan())
    }

    fn check(&self, history: &History) -> Vec<Violation> {
        check(&self.plan().plan, history)
    }

    fn numbers(&self) -> Vec<usize> {
        let plan = self.plan();
        plan.plan.numbers().chain(plan.faults.iter().map(|fault| fault.number)).collect()
    }

    fn keeping(&self, numbers: BTreeSet<usize>) -> Self {
        Self { kept: Some(numbers), ..*self }
    }

    fn simpler(&self) -> Vec<Self> {
        Vec::new()
    }

    fn describe(&self) -> String {
        let plan = self.plan();
        let mut text = report::describe(&plan.plan);
        let _ = writeln!(
            text,
            "lag {}, ahead {}, queues {:?}, stores {:?}, large {}, {:?}",
            plan.lag, plan.ahead, plan.queues, plan.stores, plan.large, plan.flavor
        );
        for fault in &plan.faults {
            let _ = writeln!(text, "  {:>3}  +{} ms  {:?}", fault.number, fault.pause, fault.fault);
        }
        text
    }
}
