//! Redacts what calls hand over, writes it in batches, and removes what is too old.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use sabir_proto::v1::CreateChatCompletionRequest;
use sabir_store::{Capture, CaptureStore, unix_micros};
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use super::recording::{Text, Texts};
use super::{Config, Recording, Subject};
use crate::redact::Redactor;
use crate::telemetry::event;

/// How much may wait to be written, in bytes of texts; the number of captures that may wait follows from it.
const QUEUE_BYTES: usize = 32 << 20;

/// How many captures are written at once.
const BATCH: usize = 32;

/// How long the first capture of a batch waits for others.
const GATHER: Duration = Duration::from_millis(200);

/// How often old captures are looked for, and how many are removed at once.
const CLEANING: Duration = Duration::from_secs(600);
const CLEAN_ROWS: u32 = 500;

/// How long the last captures may take at the end.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// Takes recordings. Clones share one queue.
#[derive(Clone, Debug)]
pub(crate) struct CaptureLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    enabled: bool,
    /// Calls whose 32 random bits are below this are captured.
    sampled_below: u64,
    max_bytes: usize,
    queue: mpsc::Sender<Box<Recording>>,
    dropped: Arc<AtomicU64>,
    closing: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl CaptureLog {
    /// Starts the task that writes to `store`, on the runtime this is called in. Old captures are removed even when no new
    /// ones are made.
    pub(crate) fn start(store: Arc<dyn CaptureStore>, config: &Config) -> Self {
        let capacity = (QUEUE_BYTES / (2 * config.max_bytes)).clamp(8, 1024);
        let (queue, recordings) = mpsc::channel(capacity);
        let (dropped, closing) = (Arc::<AtomicU64>::default(), CancellationToken::new());
        let writer = Writer {
            store,
            recordings,
            redactor: Arc::clone(&config.redactor),
            max_bytes: config.max_bytes,
            retention: config.retention,
            dropped: Arc::clone(&dropped),
            closing: closing.clone(),
        };
        let task = Mutex::new(Some(tokio::spawn(writer.run())));
        let sampled_below = (config.sample * (1_u64 << 32) as f64) as u64;
        let max_bytes = config.max_bytes;
        Self(Arc::new(Shared { enabled: config.enabled, sampled_below, max_bytes, queue, dropped, closing, task }))
    }

    /// A log that keeps nothing.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        let (queue, _) = mpsc::channel(1);
        let (dropped, closing, task) = Default::default();
        Self(Arc::new(Shared { enabled: false, sampled_below: 0, max_bytes: 0, queue, dropped, closing, task }))
    }

    /// Begins to record a call, if it is one of those that are.
    pub(crate) fn begin(
        &self,
        id: uuid::Uuid,
        subject: impl FnOnce() -> Subject,
        request: &CreateChatCompletionRequest,
    ) -> Option<Box<Recording>> {
        // The end of a UUID is random (RFC 9562, section 5.7); what stands before it counts.
        let random = id.as_u64_pair().1 & u64::from(u32::MAX);
        let chosen = self.0.enabled && random < self.0.sampled_below;
        chosen.then(|| Recording::new(self.clone(), self.0.max_bytes, subject(), request))
    }

    /// How many captures were dropped since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Writes what waits, as far as time allows, and takes nothing any more.
    pub(crate) async fn close(&self) {
        self.0.closing.cancel();
        if let Some(task) = self.0.task.lock().await.take()
            && timeout(CLOSE_WITHIN, task).await.is_err()
        {
            tracing::warn!(event = event::CAPTURES_LOST, "the last captures took too long and are lost");
        }
    }

    /// Takes a recording, or drops it when too many wait.
    pub(super) fn keep(&self, recording: Box<Recording>) {
        if self.0.queue.try_send(recording).is_err() {
            note_dropped(&self.0.dropped, 1);
        }
    }
}

/// Counts captures that are lost, and says so now and then: at the first, the second, the fourth and so on.
fn note_dropped(dropped: &AtomicU64, count: u64) {
    let before = dropped.fetch_add(count, Ordering::Relaxed);
    let after = before + count;
    if before == 0 || before.ilog2() < after.ilog2() {
        tracing::warn!(
            event = event::CAPTURES_LOST,
            dropped = after,
            "captures are dropped because they cannot be written as fast as calls come"
        );
    }
}

struct Writer {
    store: Arc<dyn CaptureStore>,
    recordings: mpsc::Receiver<Box<Recording>>,
    redactor: Arc<Redactor>,
    max_bytes: usize,
    retention: Duration,
    dropped: Arc<AtomicU64>,
    closing: CancellationToken,
}

impl Writer {
    async fn run(mut self) {
        let mut cleaning = interval_at(Instant::now() + GATHER, CLEANING.min(self.retention));
        loop {
            tokio::select! {
                () = self.closing.cancelled() => break,
                _ = cleaning.tick() => self.clean().await,
                first = self.recordings.recv() => {
                    let Some(first) = first else { break };
                    let mut batch = vec![first];
                    let more = async {
                        while batch.len() < BATCH {
                            match self.recordings.recv().await {
                                Some(next) => batch.push(next),
                                None => break,
                            }
                        }
                    };
                    tokio::select! {
                        _ = timeout(GATHER, more) => {}
                        () = self.closing.cancelled() => {}
                    }
                    self.write(batch).await;
                }
            }
        }
        self.recordings.close();
        let mut rest = Vec::new();
        while let Some(recording) = self.recordings.recv().await {
            rest.push(recording);
        }
        if !rest.is_empty() {
            self.write(rest).await;
        }
    }

    #[expect(clippy::vec_box, reason = "they come in boxes, and moving them out would copy each")]
    async fn write(&self, batch: Vec<Box<Recording>>) {
        let count = batch.len() as u64;
        let (redactor, max_bytes) = (Arc::clone(&self.redactor), self.max_bytes);
        // Patterns over megabytes of text take milliseconds, which calls shall not wait for.
        let captures = tokio::task::spawn_blocking(move || -> Vec<Capture> {
            batch.into_iter().map(|recording| capture(&redactor, max_bytes, *recording)).collect()
        });
        let written = match captures.await {
            Ok(captures) => self.store.insert_captures(&captures).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = written {
            tracing::warn!(event = event::CAPTURES_LOST, %error, count, "captures could not be written");
            note_dropped(&self.dropped, count);
        }
    }

    /// Removes what is too old, a little at a time.
    async fn clean(&self) {
        let Some(oldest) = SystemTime::now().checked_sub(self.retention) else { return };
        loop {
            match self.store.remove_captures(unix_micros(oldest), CLEAN_ROWS).await {
                Ok(0) => return,
                Ok(removed) => tracing::debug!(removed, "old captures were removed"),
                Err(error) => {
                    tracing::warn!(
                        event = event::CAPTURES_UNREMOVED, %error,
                        "old captures could not be removed; they will be"
                    );
                    return;
                }
            }
        }
    }
}

/// The capture that is kept of a recording.
fn capture(redactor: &Redactor, max_bytes: usize, recording: Recording) -> Capture {
    let Recording { subject, request, response, code, .. } = recording;
    let (request, request_cut) = kept(redactor, max_bytes, &request);
    let (response, response_cut) = kept(redactor, max_bytes, &response);
    Capture {
        id: subject.id,
        at_micros: subject.at_micros,
        actor: subject.actor,
        team_id: subject.team_id,
        model: redactor.redact(&subject.model, usize::MAX),
        code,
        request,
        response,
        cut: request_cut || response_cut,
    }
}

/// Texts as a JSON array, redacted and cut; whether they were cut.
fn kept(redactor: &Redactor, max_bytes: usize, texts: &Texts) -> (String, bool) {
    let mut room = max_bytes;
    let mut cut = texts.cut;
    let mut kept = Vec::new();
    for Text { at, role, call, tool, text } in &texts.texts {
        if room == 0 {
            cut = true;
            break;
        }
        cut |= text.len() > room;
        let mut one = json!({"at": at, "role": role, "text": redactor.redact(text, room)});
        if call.is_some() {
            one["call"] = redactor.redact(tool, usize::MAX).into();
        }
        room = room.saturating_sub(text.len());
        kept.push(one);
    }
    (Value::Array(kept).to_string(), cut)
}

#[cfg(test)]
mod tests;
