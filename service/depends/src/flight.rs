//! What is resolved once for the application: on a task of its own, so that a client that goes away ends no start that
//! others need, and again after a failure, so that a database that was away at the first request is asked at the next.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::Error;
use crate::dependency::{Key, Value};
use crate::hook::Caught;
use crate::scope::lock;
use crate::waits::Waits;

/// The singletons, and what they asked for.
#[derive(Debug, Default)]
pub(crate) struct Flights(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    flights: HashMap<TypeId, Flight>,
    waits: Waits,
}

#[derive(Debug, Clone)]
enum Flight {
    Landed(Value),
    /// Has the result when there is one; closed without one if the task was killed with its runtime.
    Flying(watch::Receiver<Option<Result<Value, Error>>>),
}

impl Flights {
    /// The value, if it is there.
    pub(crate) fn landed(&self, key: Key) -> Option<Value> {
        match lock(&self.0).flights.get(&key.id()) {
            Some(Flight::Landed(value)) => Some(Arc::clone(value)),
            _ => None,
        }
    }

    /// The value; begins to make it if nobody has. `asker` is the singleton that asks, if it is one.
    pub(crate) async fn join(
        &self,
        asker: Option<Key>,
        key: Key,
        make: impl FnOnce() -> crate::dependency::Making,
    ) -> Result<Value, Error> {
        let _waiting = self.wait(asker, key)?;
        let mut result = {
            let mut state = lock(&self.0);
            match state.flights.get(&key.id()) {
                Some(Flight::Landed(value)) => return Ok(Arc::clone(value)),
                Some(Flight::Flying(result)) if result.has_changed().is_ok() => result.clone(),
                _ => {
                    let (report, result) = watch::channel(None);
                    state.flights.insert(key.id(), Flight::Flying(result.clone()));
                    tokio::spawn(fly(Arc::clone(&self.0), key, make(), report));
                    result
                }
            }
        };
        let landed = result.wait_for(Option::is_some).await.map_err(|_| Error::panicked().of(key.name))?;
        landed.clone().unwrap_or_else(|| Err(Error::panicked().of(key.name)))
    }

    fn wait(&self, asker: Option<Key>, asked: Key) -> Result<Option<Waiting>, Error> {
        let Some(asker) = asker else { return Ok(None) };
        lock(&self.0).waits.begin(asker, asked)?;
        Ok(Some(Waiting { state: Arc::clone(&self.0), asker, asked }))
    }
}

/// Makes the value and says so. A failure is told to everybody who waits, and forgotten.
async fn fly(
    state: Arc<Mutex<State>>,
    key: Key,
    making: crate::dependency::Making,
    report: watch::Sender<Option<Result<Value, Error>>>,
) {
    let result = Caught(making).await.map_err(|error| error.of(key.name));
    {
        let mut state = lock(&state);
        match &result {
            Ok(value) => drop(state.flights.insert(key.id(), Flight::Landed(Arc::clone(value)))),
            Err(_) => drop(state.flights.remove(&key.id())),
        }
    }
    // Nobody may wait any more.
    report.send_replace(Some(result));
}

/// A wait of one singleton for another.
struct Waiting {
    state: Arc<Mutex<State>>,
    asker: Key,
    asked: Key,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        lock(&self.state).waits.end(self.asker, self.asked);
    }
}
