//! A call joins the loads under way for what it misses, and starts one for the rest.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::runtime::{Handle, TryCurrentError};
use tokio::time::Instant;

use super::call::{Call, Held, Missing};
use super::dependencies::Declared;
use super::flight::Group;
use super::flights::{Joining, Start};
use super::lease::Leases;
use super::loader::Loader;
use super::open::OpenFlight;
use super::run::GroupTask;
use super::waits;
use crate::engine::{Chain, LoadId, Started};
use crate::error::{Error, ErrorKind, Result};
use crate::region::Answer;
use crate::store::LeaseToken;
use crate::timers::has_timers;
use crate::value::serializer::Value;

impl Call<'_> {
    /// Joins the loads under way for the missing keys and starts one for the others; their values in
    /// the keys' order. `outage` is the one that the read met: then the store is not asked again.
    ///
    /// # Cancel safety
    /// Dropping it ends this call's waiting. A load that nobody else waits for is dropped.
    pub(super) async fn load<V: Value>(
        mut self,
        missing: Vec<Missing<'_, V>>,
        outage: Option<Error>,
        loader: impl FnOnce() -> Loader<V>,
    ) -> Result<Vec<Answer<Option<Arc<V>>>>> {
        let runtime = Handle::try_current().map_err(no_runtime)?;
        if !has_timers() {
            return Err(no_timers());
        }
        let chain = Chain::current();
        let start = if outage.is_some() { Start::Loading } else { Start::Asking };
        if let (Start::Loading, Some(chain)) = (start, &chain) {
            self.refuse_cycles(chain, &missing)?;
        }
        let token = LeaseToken::from_bits(self.context.engine().random.bits());
        let mut joining = Joining::new(self.flights, self.started, start, Group::new(token));
        let mut places = Vec::with_capacity(missing.len());
        let mut ended = HashSet::new();
        for Missing { key, held } in missing {
            if matches!(held, Held::Ended) {
                ended.insert(key);
            }
            places.push((key, self.place(&mut joining, key, held)));
        }
        let inside = chain.as_ref().map(|chain| Arc::clone(chain.load()));
        if joining.has_started() {
            joining.tell_readers();
            let declared = self.declared.take();
            let mut task = self.task(joining, loader(), chain, declared);
            task.insist_on(&ended);
            if let Some(outage) = &outage {
                task.outages.remember(&self.context.engine().store, outage);
            }
            task.spawn(&runtime, start);
        }
        self.reading = None;
        let mut answers = Vec::with_capacity(places.len());
        for (key, place) in places {
            answers.push(self.answer_at(key, place, inside.as_ref()).await?);
        }
        Ok(answers)
    }

    /// Without the store nothing tells that a load is called from inside itself, so it is looked for.
    fn refuse_cycles<V: Value>(&self, chain: &Chain, missing: &[Missing<'_, V>]) -> Result<()> {
        for Missing { key, .. } in missing {
            if let Some(loads) = chain.loads_since::<V>(self.context, key) {
                let mut names = loads.iter().skip(1).map(ToString::to_string);
                return Err(waits::cycle(&loads[0], &mut names));
            }
        }
        Ok(())
    }

    fn task<V: Value>(
        &self,
        joining: Joining<'_>,
        loader: Loader<V>,
        chain: Option<Arc<Chain>>,
        declared: Option<Box<Declared>>,
    ) -> GroupTask<V> {
        let (group, new) = joining.into_new();
        let new = new.into_iter().map(|new| OpenFlight::new(self.flights, new));
        let open: Vec<_> = new.collect();
        let keys = open.iter().map(OpenFlight::key);
        let limit = self.context.policy().load_timeout.duration();
        GroupTask {
            context: Arc::clone(self.context),
            flights: Arc::clone(self.flights),
            id: Arc::new(LoadId::new::<V>(group.token, self.context, keys)),
            leases: Leases::new(self.context, group.token),
            group,
            accept: self.accept,
            loader,
            declared,
            is_crowded: self.reading.as_ref().is_some_and(|reader| reader.has_company()),
            outages: chain.as_ref().map(|chain| Arc::clone(chain.outages())).unwrap_or_default(),
            chain,
            deadline: limit.and_then(|limit| Instant::now().checked_add(limit)),
            started: Started::at(Some(self.started_at())),
            open,
        }
    }
}

fn no_runtime(error: TryCurrentError) -> Error {
    Error::new(ErrorKind::Load, "a load needs a tokio runtime, and there is none here")
        .with_source(error)
}

fn no_timers() -> Error {
    let message =
        "a load needs timers, and the tokio runtime has no timers: build it with enable_time";
    Error::new(ErrorKind::Load, message)
}
