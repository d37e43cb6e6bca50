//! What follows from the answers of several sentinels.

use super::answer::Answer;
use crate::url::Host;

/// A primary that sentinels name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) primary: Host,
    /// The newest epoch in which a sentinel names it.
    pub(super) epoch: u64,
    /// The number of sentinels that name it.
    votes: usize,
    /// Those that are up for at least half of these.
    pub(super) replicas: Vec<Host>,
}

/// Returns the primaries that `answers` name, the most likely first: the newest configuration, and of equally new
/// ones that of the most sentinels. One that is older than `known` needs most of the `sentinels`.
pub(super) fn candidates(answers: &[Answer], sentinels: usize, known: u64) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = Vec::new();
    for Answer { primary, epoch, .. } in answers {
        match candidates.iter_mut().find(|candidate| candidate.primary == *primary) {
            Some(candidate) => {
                candidate.epoch = candidate.epoch.max(*epoch);
                candidate.votes += 1;
            }
            None => {
                let (primary, replicas) = (primary.clone(), Vec::new());
                candidates.push(Candidate { primary, epoch: *epoch, votes: 1, replicas });
            }
        }
    }
    candidates.retain(|candidate| candidate.epoch >= known || candidate.votes > sentinels / 2);
    candidates.sort_by_key(|candidate| std::cmp::Reverse((candidate.epoch, candidate.votes)));
    for candidate in &mut candidates {
        candidate.replicas = replicas_of(candidate, answers);
    }
    candidates
}

/// Returns whether most of the `sentinels` have the same configuration.
pub(super) fn is_settled(answers: &[Answer], sentinels: usize) -> bool {
    let has_most = |answer: &Answer| {
        let same =
            |other: &&Answer| (&answer.primary, answer.epoch) == (&other.primary, other.epoch);
        answers.iter().filter(same).count() > sentinels / 2
    };
    answers.last().is_some_and(has_most)
}

fn replicas_of(candidate: &Candidate, answers: &[Answer]) -> Vec<Host> {
    let agreed = || answers.iter().filter(|answer| answer.primary == candidate.primary);
    let mut replicas: Vec<&Host> = Vec::new();
    for replica in agreed().flat_map(|answer| &answer.replicas) {
        let known_to = agreed().filter(|answer| answer.replicas.contains(replica)).count();
        let is_up = known_to * 2 >= candidate.votes && *replica != candidate.primary;
        if is_up && !replicas.contains(&replica) {
            replicas.push(replica);
        }
    }
    replicas.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Host {
        Host { name: name.to_owned(), port: 1 }
    }

    fn answer(primary: &str, epoch: u64, replicas: &[&str]) -> Answer {
        let replicas = replicas.iter().map(|replica| host(replica)).collect();
        Answer { primary: host(primary), epoch, replicas }
    }

    fn names(answers: &[Answer], sentinels: usize, known: u64) -> Vec<String> {
        let candidates = candidates(answers, sentinels, known).into_iter();
        candidates.map(|candidate| candidate.primary.name).collect()
    }

    #[test]
    fn the_newest_configuration_comes_first() {
        let answers = [answer("a", 1, &[]), answer("a", 1, &[]), answer("b", 2, &[])];
        assert_eq!(names(&answers, 3, 0), ["b", "a"]);
        let answers = [answer("b", 1, &[]), answer("a", 1, &[]), answer("a", 0, &[])];
        assert_eq!(names(&answers, 3, 0), ["a", "b"], "equally new");
        assert!(names(&[], 3, 0).is_empty());
    }

    #[test]
    fn an_older_configuration_than_is_known_needs_most_sentinels() {
        let one = [answer("a", 1, &[])];
        assert_eq!(names(&one, 3, 1), ["a"]);
        assert!(names(&one, 3, 2).is_empty(), "it has not heard of the failover");
        assert_eq!(names(&one, 1, 2), ["a"], "there is no other");
        let two = [answer("a", 0, &[]), answer("a", 0, &[])];
        assert_eq!(names(&two, 3, 2), ["a"], "they were reset");
        assert!(names(&two, 4, 2).is_empty());
    }

    #[test]
    fn most_sentinels_settle_it() {
        let (a, newer) = (answer("a", 1, &[]), answer("a", 2, &[]));
        assert!(!is_settled(&[], 1));
        assert!(is_settled(std::slice::from_ref(&a), 1));
        assert!(!is_settled(std::slice::from_ref(&a), 2));
        assert!(is_settled(&[a.clone(), a.clone()], 3));
        assert!(!is_settled(&[a.clone(), newer.clone()], 3));
        assert!(is_settled(&[a.clone(), newer, a], 3));
    }

    #[test]
    fn replicas_are_up_for_half_of_those_who_agree() {
        let answers = [
            answer("a", 1, &["r", "s", "a"]),
            answer("a", 1, &["s", "t"]),
            answer("a", 1, &["s", "t"]),
            answer("b", 1, &["r", "u"]),
        ];
        let candidates = candidates(&answers, 4, 0);
        assert_eq!(candidates[0].replicas, [host("s"), host("t")]);
        assert_eq!(candidates[1].replicas, [host("r"), host("u")]);
    }
}
