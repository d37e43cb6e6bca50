//! The world of servers: a fixed number of seeds, and that a seed has one history.

use std::ops::ControlFlow;

use oracle::search::{each_seed, report, shrink, try_case};
use oracle::sim::redis::{RedisCase, run};

/// The seeds that every run of the tests looks at.
const SEEDS: u64 = 2000;

fn refuse(case: &RedisCase) {
    if let Some(failure) = try_case(case) {
        panic!("{}", report(&shrink(failure)));
    }
}

#[test]
fn nothing_is_unexplained_in_the_first_seeds() {
    each_seed(0..SEEDS, |seed| {
        refuse(&RedisCase::new(seed));
        ControlFlow::Continue(())
    });
}

#[test]
fn a_seed_has_one_history() {
    for seed in 0..40 {
        let plan = RedisCase::new(seed).plan();
        assert_eq!(run(&plan).text(), run(&plan).text(), "seed {seed}");
    }
}

#[test]
fn a_case_is_parsed_from_its_text() {
    for text in ["7", "7 steps=1,3"] {
        assert_eq!(text.parse::<RedisCase>().unwrap().to_string(), text);
    }
    for text in ["", "x", "7 steps=x"] {
        assert!(text.parse::<RedisCase>().is_err(), "{text}");
    }
}
