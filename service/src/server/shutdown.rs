//! The order to stop: first gently, then at once.

use tokio_util::sync::CancellationToken;

use crate::telemetry::event;

/// A handle that asks a server to stop, and that its parts listen to. Clones are the same order.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    stop: CancellationToken,
    cut: CancellationToken,
}

impl Shutdown {
    /// An order that nobody has given yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks to stop: no new connections, open calls may finish. Asked again, open calls are cut.
    pub fn stop(&self) {
        if self.stop.is_cancelled() {
            self.cut.cancel();
        }
        self.stop.cancel();
    }

    /// Turns SIGTERM and SIGINT into [`stop`](Self::stop), for as long as the runtime lives.
    ///
    /// # Errors
    /// What the system says if the signals cannot be listened to.
    pub fn on_signals(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                if shutdown.is_stopping() {
                    tracing::warn!(event = event::CUTTING, signal = name, "asked again to stop: cutting open calls");
                } else {
                    tracing::info!(
                        event = event::STOPPING,
                        signal = name,
                        "stopping: open calls may finish; a second signal cuts them"
                    );
                }
                shutdown.stop();
            }
        });
        Ok(())
    }

    /// Whether it has been asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Resolves when it is asked to stop.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// Resolves when open calls are to be cut.
    pub(crate) async fn cutting(&self) {
        self.cut.cancelled().await;
    }

    /// What the future gives, or `None` if the order to stop comes first.
    pub(crate) async fn unless_stopping<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        self.stop.run_until_cancelled(future).await
    }
}
