//! Which runtime serves a connection: the one that everything runs on, or one of several with a single thread each.
//!
//! With a runtime for each core, a connection stays on one thread from its first byte to its last, with the connections to
//! upstreams that its calls use. One loop accepts and hands each connection to the core that has fewest: the kernel's
//! `SO_REUSEPORT` spreads connections by hash, which puts several of few long-lived HTTP/2 connections on one core, and
//! lets a second server take the same port unnoticed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sabir_providers::Transport;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::config::{Config, Runtime};

/// The runtimes that connections are served on. Clones are the same ones; they end with the last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cores(Option<Arc<Several>>);

#[derive(Debug)]
struct Several {
    cores: Box<[Arc<Core>]>,
    _end: DropGuard,
}

#[derive(Debug)]
struct Core {
    runtime: Handle,
    connections: AtomicUsize,
}

/// A connection's place on a core, for as long as the connection is open.
#[derive(Debug)]
pub(super) struct Place(Arc<Core>);

impl Cores {
    /// As the configuration wants it. With a shared runtime there is nothing to start.
    ///
    /// # Errors
    /// What the system says if it has no threads left.
    pub(crate) fn start(config: &Config) -> io::Result<Self> {
        if config.runtime == Runtime::Shared || config.cores() == 1 {
            return Ok(Self::default());
        }
        let end = CancellationToken::new();
        // From here on, what has been started ends if the rest cannot be.
        let guard = end.clone().drop_guard();
        let cores = (0..config.cores()).map(|index| start(index, end.clone())).collect::<io::Result<_>>()?;
        Ok(Self(Some(Arc::new(Several { cores, _end: guard }))))
    }

    /// A place on the core with the fewest connections; `None` if connections are served where they are accepted.
    pub(super) fn place(&self) -> Option<Place> {
        let cores = &self.0.as_ref()?.cores;
        let least = cores.iter().min_by_key(|core| core.connections.load(Ordering::Relaxed))?;
        least.connections.fetch_add(1, Ordering::Relaxed);
        Some(Place(Arc::clone(least)))
    }
}

impl Place {
    /// The runtime of the core.
    pub(super) fn runtime(&self) -> &Handle {
        &self.0.runtime
    }
}

/// A connection on its way from the runtime that accepted it to the one that serves it.
#[derive(Debug)]
pub(super) enum Arrival {
    /// They are the same.
    Here(TcpStream),
    /// It has left one and is not at the other yet.
    Between(std::net::TcpStream),
}

impl Arrival {
    /// Takes the connection off the runtime of the caller, if it is to be served elsewhere.
    pub(super) fn depart(stream: TcpStream, place: Option<&Place>) -> io::Result<Self> {
        match place {
            None => Ok(Self::Here(stream)),
            Some(_) => stream.into_std().map(Self::Between),
        }
    }

    /// Has the connection on the runtime of the caller.
    pub(super) fn arrive(self) -> io::Result<TcpStream> {
        match self {
            Self::Here(stream) => Ok(stream),
            Self::Between(stream) => TcpStream::from_std(stream),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Starts a thread with a runtime that lives until `end`.
fn start(index: usize, end: CancellationToken) -> io::Result<Arc<Core>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new().name(format!("core-{index}")).spawn(move || {
        Transport::use_pool(index);
        runtime.block_on(end.cancelled());
    })?;
    Ok(Arc::new(Core { runtime: handle, connections: AtomicUsize::new(0) }))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::RecvTimeoutError;
    use std::time::Duration;

    use super::*;

    fn cores(runtime: Runtime, workers: usize) -> Cores {
        let server = crate::config::Config::from_parts(None, []).unwrap().server;
        Cores::start(&Config { runtime, workers: Some(workers), ..server }).unwrap()
    }

    #[test]
    fn each_connection_goes_to_the_core_with_fewest() {
        let cores = cores(Runtime::PerCore, 3);
        let first: Vec<_> = (0..3).filter_map(|_| cores.place()).collect();
        let names: Vec<_> = first.iter().map(|place| Arc::as_ptr(&place.0)).collect();
        assert_eq!(names.len(), 3);
        assert!(names.iter().enumerate().all(|(index, name)| !names[..index].contains(name)));
        let mut first = first.into_iter();
        let (one, _two, _three) = (first.next().unwrap(), first.next(), first.next());
        let freed = Arc::as_ptr(&one.0);
        drop(one);
        assert_eq!(Arc::as_ptr(&cores.place().unwrap().0), freed);
    }

    #[test]
    fn threads_end_with_the_last_of_the_cores() {
        let cores = cores(Runtime::PerCore, 2);
        let (held, gone) = std::sync::mpsc::channel::<()>();
        cores.place().unwrap().runtime().spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        drop(cores);
        assert_eq!(gone.recv_timeout(Duration::from_secs(10)), Err(RecvTimeoutError::Disconnected));
    }

    #[test]
    fn one_core_needs_no_second_thread() {
        assert!(cores(Runtime::PerCore, 1).place().is_none());
        assert!(cores(Runtime::Shared, 4).place().is_none());
    }
}
