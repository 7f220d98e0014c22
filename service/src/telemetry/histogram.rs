//! A histogram on atomics, with an example of a trace for each bucket.
//!
//! Why not the instruments of the OpenTelemetry SDK: they look their series up by a hash over all attributes on every
//! recording, and their Prometheus exporter knows no exemplars. Here a series is found once for each call, or was found
//! before, and a recording is two additions.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::catalogue::{Kind, Metric};
use super::context::Ids;

/// The parts of a second that sums are kept in.
const MICROS: f64 = 1e6;

/// Counts values by size.
#[derive(Debug)]
pub(crate) struct Histogram {
    bounds: &'static [f64],
    /// How many values were within each bound and not within the one before; the last are above all.
    counts: Box<[AtomicU64]>,
    /// In parts of the unit.
    sum: AtomicU64,
    /// How many parts a unit has.
    parts: f64,
    /// The last example of each bucket; empty before the first.
    exemplars: Mutex<Vec<Option<Exemplar>>>,
}

/// A value that was seen, and the span in which it was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Exemplar {
    /// Its trace and span.
    pub(crate) ids: Ids,
    /// The value.
    pub(crate) value: f64,
    /// When it was seen.
    pub(crate) at: SystemTime,
}

/// What a histogram holds at one time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Distribution {
    /// The bounds of the buckets.
    pub(crate) bounds: &'static [f64],
    /// How many values were in each bucket; one more than there are bounds.
    pub(crate) counts: Vec<u64>,
    /// The sum of all values.
    pub(crate) sum: f64,
    /// An example for each bucket, or none at all.
    pub(crate) exemplars: Vec<Option<Exemplar>>,
}

impl Histogram {
    /// An empty one for this metric.
    pub(crate) fn new(metric: &Metric) -> Self {
        let bounds = match metric.kind {
            Kind::Histogram(bounds) => bounds,
            Kind::Counter | Kind::Gauge => &[],
        };
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
            parts: if metric.unit == "s" { MICROS } else { 1.0 },
            exemplars: Mutex::default(),
        }
    }

    /// Counts a value, seen in this span if that is recorded.
    pub(crate) fn record(&self, value: f64, span: Option<Ids>) {
        let bucket = self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add((value * self.parts).round() as u64, Ordering::Relaxed);
        let Some(ids) = span else { return };
        // One example is as good as another: nobody waits to leave one.
        if let Ok(mut exemplars) = self.exemplars.try_lock() {
            exemplars.resize(self.counts.len(), None);
            if let Some(place) = exemplars.get_mut(bucket) {
                *place = Some(Exemplar { ids, value, at: SystemTime::now() });
            }
        }
    }

    /// What it holds; `None` if nothing was ever counted.
    pub(crate) fn read(&self) -> Option<Distribution> {
        let counts: Vec<u64> = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        counts.iter().any(|count| *count > 0).then(|| Distribution {
            bounds: self.bounds,
            counts,
            sum: self.sum.load(Ordering::Relaxed) as f64 / self.parts,
            exemplars: self.exemplars.lock().map(|exemplars| exemplars.clone()).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::catalogue;

    #[test]
    fn a_value_on_a_bound_is_within_it() {
        let histogram = Histogram::new(&catalogue::TOKEN_USAGE);
        assert_eq!(histogram.read(), None);
        for value in [1.0, 2.0, 4.0, 1e12] {
            histogram.record(value, None);
        }
        let read = histogram.read().unwrap();
        assert_eq!((read.counts[0], read.counts[1], read.counts[read.bounds.len()]), (1, 2, 1));
        assert_eq!(read.sum, 1e12 + 7.0);
        assert!(read.exemplars.is_empty());
    }

    #[test]
    fn seconds_are_summed_up_to_the_microsecond() {
        let histogram = Histogram::new(&catalogue::DURATION);
        let ids = Ids { trace: [1; 16], span: [2; 8], sampled: true };
        histogram.record(0.001_5, Some(ids));
        histogram.record(2.0, None);
        let read = histogram.read().unwrap();
        assert!((read.sum - 2.001_5).abs() < 1e-9);
        assert_eq!(read.exemplars.iter().flatten().map(|exemplar| exemplar.ids).collect::<Vec<_>>(), [ids]);
    }
}
