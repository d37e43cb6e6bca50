//! Adds to a plan what was thought of later, and leaves the rest as it was: so a case that is kept stays one.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::{Action, Form, Load, Plan, ProcessSetup};

/// Sets the draws apart from those of the plan and of the run.
const SALT: u64 = 0x77_1de4;

pub(super) fn widen(plan: &mut Plan) {
    let mut rng = StdRng::seed_from_u64(plan.seed.wrapping_add(SALT));
    let is_calm = plan.is_calm();
    plan.setup.clock_ahead = one_of(&mut rng, &[0, 1, 40, 3_600_000]);
    if !is_calm && rng.random_ratio(1, 8) {
        plan.setup.max_bytes = rng.random_range(400..2000);
    }
    let forms = if rng.random_ratio(1, 5) { 4 } else { 1 };
    for process in &mut plan.setup.processes {
        change_process(&mut rng, forms, process);
        // The store evicts during an own change, and no answer tells of that.
        process.own_changes_untold &= plan.setup.max_bytes == 0;
    }
    if is_calm && rng.random_ratio(1, 4) {
        let steps = plan.clients.iter_mut().flat_map(|client| &mut client.steps);
        for step in steps {
            step.cancel = rng.random_ratio(1, 6).then(|| rng.random_range(1..12));
        }
    }
    let processes = plan.setup.processes.len();
    let fails_over = rng.random_ratio(1, 4);
    for client in &mut plan.clients {
        for step in &mut client.steps {
            let is_fault = client.process.is_none();
            let another = match is_fault {
                true => another_fault(&mut rng, processes),
                false => another_action(&mut rng, &step.action),
            };
            if let Some(action) = another {
                step.action = action;
            }
        }
        if fails_over && client.process.is_none() && client.steps.len() > 1 {
            let at = rng.random_range(1..client.steps.len());
            client.steps[at - 1].action = Action::BackUp;
            client.steps[at].action = Action::RollBack;
        }
    }
}

fn one_of(rng: &mut StdRng, values: &[u64]) -> u64 {
    *values.choose(rng).unwrap_or(&0)
}

fn change_process(rng: &mut StdRng, forms: u32, process: &mut ProcessSetup) {
    process.watch = one_of(rng, &[0, 0, 5, 100]);
    process.form = form(rng, forms);
    process.second_form = if rng.random() { process.form } else { form(rng, forms) };
}

/// One of so many forms.
fn form(rng: &mut StdRng, forms: u32) -> Form {
    match rng.random_range(0..forms) {
        0 => Form::default(),
        1 => Form { other_type: true, ..Form::default() },
        2 => Form { version: 1, ..Form::default() },
        _ => Form { json: true, ..Form::default() },
    }
}

/// Sometimes an action that does something like `action` in another way.
fn another_action(rng: &mut StdRng, action: &Action) -> Option<Action> {
    if !rng.random_ratio(1, 5) {
        return None;
    }
    Some(match action {
        Action::Get(key) => Action::Refresh(*key, load(rng)),
        Action::GetMany(region, _) if rng.random() => Action::Keys(*region),
        Action::GetMany(region, _) => Action::Entries(*region),
        Action::Compute(key, load) if rng.random() => Action::Load(*key, load.clone()),
        Action::Compute(key, load) => Action::Refresh(*key, load.clone()),
        Action::ComputeMany(region, keys, load) => {
            Action::Warm(*region, keys.clone(), load.clone())
        }
        _ => return None,
    })
}

fn load(rng: &mut StdRng) -> Load {
    let takes = one_of(rng, &[0, 3, 30, 200]);
    Load { takes, ..Load::default() }
}

/// Sometimes another fault.
fn another_fault(rng: &mut StdRng, processes: usize) -> Option<Action> {
    match rng.random_range(0..12) {
        0 | 1 => Some(Action::BackUp),
        2 => Some(Action::RollBack),
        3 => Some(Action::Kill(rng.random_range(0..processes))),
        _ => None,
    }
}
