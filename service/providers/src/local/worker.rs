//! The thread that runs the model, and the queue in front of it.
//!
//! One generation at a time: two at once would each take twice as long and need twice the memory. The queue is short,
//! and says so when it is full. A request whose caller has gone away, or whose deadline has passed, never reaches the
//! model, and gives up its place in the queue as soon as somebody else needs one.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use super::{
    error::{GenerateError, LoadError},
    generation::Job,
    tokenizer::Tokenizer,
    transformer::Transformer,
};

/// A handle to the thread. Dropping it lets the current generation end and then ends the thread.
pub(crate) struct Worker {
    queue: Arc<Queue>,
}

struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    capacity: usize,
}

struct State {
    waiting: VecDeque<Job>,
    open: bool,
}

impl Worker {
    /// Starts the thread. `capacity` is the number of requests that may wait while one runs.
    pub(crate) fn start(
        transformer: Transformer,
        tokenizer: Arc<Tokenizer>,
        capacity: usize,
    ) -> Result<Self, LoadError> {
        let state = Mutex::new(State { waiting: VecDeque::with_capacity(capacity), open: true });
        let queue = Arc::new(Queue { state, changed: Condvar::new(), capacity });
        let theirs = Arc::clone(&queue);
        thread::Builder::new()
            .name("local-model".to_owned())
            .spawn(move || theirs.serve(&transformer, &tokenizer))
            .map_err(LoadError::Thread)?;
        Ok(Self { queue })
    }

    /// Queues a job, or says that the queue is full.
    pub(crate) fn submit(&self, job: Job) -> Result<(), GenerateError> {
        let mut state = self.queue.lock();
        if state.waiting.len() >= self.queue.capacity {
            state.drop_hopeless();
        }
        if state.waiting.len() >= self.queue.capacity {
            return Err(GenerateError::Overloaded { waiting: state.waiting.len() });
        }
        state.waiting.push_back(job);
        drop(state);
        self.queue.changed.notify_one();
        Ok(())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.open = false;
        for job in state.waiting.drain(..) {
            job.report(Err(GenerateError::ShutDown));
        }
        drop(state);
        self.queue.changed.notify_one();
    }
}

impl Queue {
    fn serve(&self, transformer: &Transformer, tokenizer: &Tokenizer) {
        while let Some(job) = self.next() {
            let events = job.events.clone();
            let run = AssertUnwindSafe(|| job.run(transformer, tokenizer));
            // A panic in a library must cost one request, not the model.
            if catch_unwind(run).is_err() {
                tracing::error!("the local model's engine panicked; the request failed, the model goes on");
                let _ = events.try_send(Err(GenerateError::Internal("the engine panicked".to_owned())));
            }
        }
    }

    /// Waits for a job worth running; `None` when the engine is gone.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            state.drop_hopeless();
            if let Some(job) = state.waiting.pop_front() {
                return Some(job);
            }
            if !state.open {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Removes the jobs that nobody waits for or that are too late; the latter are told.
    fn drop_hopeless(&mut self) {
        self.waiting.retain(|job| {
            if job.is_late() {
                job.report(Err(GenerateError::DeadlineExceeded));
                return false;
            }
            !job.is_abandoned()
        });
    }
}
