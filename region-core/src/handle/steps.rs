//! Writes of many keys, split into steps so that no single call keeps a server busy for long.

use super::RegionHandle;
use crate::error::{Error, ErrorKind, Result};
use crate::region::{MAX_STEP_BYTES, MAX_STEP_KEYS, MAX_TRANSACTION_BYTES, MAX_TRANSACTION_WRITES};
use crate::store::{Op, OpOutcome};

impl RegionHandle {
    /// Writes `ops` one step after the other. Each step is applied wholly or not at all; an error ends
    /// the writing, and the steps before it stay.
    pub(super) async fn write_in_steps(&self, ops: &[Op<'_>]) -> Result<Vec<OpOutcome>> {
        let mut steps = steps(ops, bytes);
        let mut outcomes = match steps.next() {
            Some(step) => self.write(step).await?,
            None => Vec::new(),
        };
        for step in steps {
            outcomes.extend(self.write(step).await?);
        }
        Ok(outcomes)
    }
}

/// Refuses more writes than one step may apply.
pub(super) fn check_transaction(ops: &[Op<'_>]) -> Result<()> {
    let writes = ops.len();
    if writes > MAX_TRANSACTION_WRITES {
        let message = format!(
            "a transaction of {writes} writes exceeds the limit of {MAX_TRANSACTION_WRITES}; \
             nothing was stored"
        );
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let bytes: usize = ops.iter().map(bytes).sum();
    if bytes > MAX_TRANSACTION_BYTES {
        let message = format!(
            "a transaction of {bytes} bytes exceeds the limit of {MAX_TRANSACTION_BYTES}; nothing \
             was stored"
        );
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    Ok(())
}

fn bytes(op: &Op<'_>) -> usize {
    match op {
        Op::Put(put) => put.key.len() + put.bytes.len(),
        Op::Remove { key } | Op::Take { key } => key.len(),
    }
}

/// Cuts `items` into steps of at most [`MAX_STEP_KEYS`] items and [`MAX_STEP_BYTES`] bytes. An item
/// that is larger makes a step of its own.
fn steps<T>(items: &[T], bytes: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let mut total = 0;
        let fits = |item: &&T| {
            total += bytes(item);
            total <= MAX_STEP_BYTES
        };
        let fitting = rest.iter().take(MAX_STEP_KEYS).take_while(fits).count();
        let step = rest.split_at_checked(fitting.max(1)).filter(|(step, _)| !step.is_empty());
        let (step, after) = step?;
        rest = after;
        Some(step)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(sizes: &[usize]) -> Vec<usize> {
        steps(sizes, |size| *size).map(<[_]>::len).collect()
    }

    #[test]
    fn steps_are_bounded_in_keys_and_bytes() {
        assert!(lengths(&[]).is_empty());
        assert_eq!(lengths(&vec![1; 2_500]), [1_000, 1_000, 500]);
        let half = MAX_STEP_BYTES / 2;
        assert_eq!(lengths(&[half, half, 1, half]), [2, 2]);
        assert_eq!(lengths(&[1, MAX_STEP_BYTES * 3, 1]), [1, 1, 1]);
    }
}
