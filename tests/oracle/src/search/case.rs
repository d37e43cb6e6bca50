use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::plan::{Plan, Step};

/// A seed's plan, or what is left of it after shrinking. Its text can be parsed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The seed.
    pub seed: u64,
    /// The steps that are kept; `None`: all.
    pub steps: Option<BTreeSet<usize>>,
    /// What is left out.
    pub without: BTreeSet<Part>,
}

macro_rules! parts {
    ($($part:ident = $name:literal,)*) => {
        /// A part of a plan that can be left out.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "named after what is left out")]
        pub enum Part { $($part,)* }

        impl Part {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$part,)*];

            const fn name(self) -> &'static str {
                match self { $(Self::$part => $name,)* }
            }
        }
    };
}

parts! {
    Latency = "latency",
    Fail = "fail",
    LoseReply = "lose-reply",
    Late = "late",
    LoseRelease = "lose-release",
    DelayPush = "delay-push",
    Cancel = "cancel",
    Dependencies = "dependencies",
    Pauses = "pauses",
    Ttl = "ttl",
    Early = "early",
    Stale = "stale",
    Unverified = "unverified",
    Replica = "replica",
    Tracked = "tracked",
    Wide = "wide",
    Watch = "watch",
    Forms = "forms",
    Clock = "clock",
    Bound = "bound",
}

impl Case {
    /// The whole plan of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, steps: None, without: BTreeSet::new() }
    }

    /// What is done in it.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let is_narrow = self.without.contains(&Part::Wide);
        let mut plan = if is_narrow { Plan::narrow(self.seed) } else { Plan::new(self.seed) };
        if let Some(kept) = &self.steps {
            for client in &mut plan.clients {
                client.steps.retain(|step| kept.contains(&step.number));
            }
            plan.clients.retain(|client| !client.steps.is_empty());
        }
        self.without.iter().for_each(|part| leave_out(*part, &mut plan));
        plan
    }
}

fn leave_out(part: Part, plan: &mut Plan) {
    let rates = &mut plan.setup.rates;
    let steps = plan.clients.iter_mut().flat_map(|client| &mut client.steps);
    let processes = &mut plan.setup.processes;
    match part {
        Part::Wide => {}
        Part::Watch => processes.iter_mut().for_each(|process| process.watch = 0),
        Part::Forms => processes.iter_mut().for_each(|process| {
            (process.form, process.second_form) = Default::default();
        }),
        Part::Clock => plan.setup.clock_ahead = 0,
        Part::Bound => plan.setup.max_bytes = 0,
        Part::Latency => rates.latency = 0,
        Part::Fail => rates.fail = 0,
        Part::LoseReply => rates.lose_reply = 0,
        Part::Late => rates.late = 0,
        Part::LoseRelease => rates.lose_release = 0,
        Part::DelayPush => rates.delay_push = 0,
        Part::Cancel => steps.for_each(|step| (step.cancel, step.dropped_after) = (None, None)),
        Part::Pauses => steps.for_each(|step| step.pause = 0),
        Part::Dependencies => steps.for_each(leave_dependencies_out),
        Part::Ttl => processes.iter_mut().for_each(|process| {
            (process.ttl, process.region_ttl) = (0, 0);
        }),
        Part::Early => processes.iter_mut().for_each(|process| {
            (process.early_at, process.early_beta) = (0, 0);
        }),
        Part::Stale => processes.iter_mut().for_each(|process| process.stale_for = 0),
        Part::Unverified => processes.iter_mut().for_each(|process| {
            (process.unverified_for, process.outage_for) = (0, 0);
        }),
        Part::Replica => processes.iter_mut().for_each(|process| process.replica = false),
        Part::Tracked => processes.iter_mut().for_each(|process| {
            (process.tracked, process.own_changes_untold) = (false, false);
        }),
    }
}

fn leave_dependencies_out(step: &mut Step) {
    if let Some(load) = step.action.load_mut() {
        load.depends_on.clear();
        load.adds = None;
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |items: Vec<String>| items.join(",");
        write!(f, "{}", self.seed)?;
        if let Some(steps) = &self.steps {
            write!(f, " steps={}", list(steps.iter().map(ToString::to_string).collect()))?;
        }
        if !self.without.is_empty() {
            let names = self.without.iter().map(|part| part.name().to_owned());
            write!(f, " without={}", list(names.collect()))?;
        }
        Ok(())
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |part: &str| format!("{part:?} is no part of a case");
        let mut parts = text.split_whitespace();
        let seed = parts.next().and_then(|seed| seed.parse().ok()).ok_or_else(|| bad(text))?;
        let mut case = Self::new(seed);
        for part in parts {
            if let Some(steps) = part.strip_prefix("steps=") {
                let steps = steps.split(',').map(|step| step.parse().map_err(|_| bad(step)));
                case.steps = Some(steps.collect::<Result<_, _>>()?);
            } else if let Some(names) = part.strip_prefix("without=") {
                for name in names.split(',') {
                    let part = Part::ALL.iter().find(|part| part.name() == name);
                    case.without.insert(*part.ok_or_else(|| bad(name))?);
                }
            } else {
                return Err(bad(part));
            }
        }
        Ok(case)
    }
}
