//! What was measured, at one time: the form between those who count and those who show.

use super::catalogue::Metric;
use super::histogram::{Distribution, Histogram};

/// A metric with its series.
#[derive(Debug)]
pub(crate) struct Family {
    /// What is measured.
    pub(crate) metric: &'static Metric,
    /// The series.
    pub(crate) points: Vec<Point>,
}

/// One series.
#[derive(Debug)]
pub(crate) struct Point {
    /// The values of the metric's labels, in their order; an empty one is a label that the series does not have.
    pub(crate) labels: Vec<String>,
    /// The value.
    pub(crate) value: Value,
}

/// The value of a series.
#[derive(Debug)]
pub(crate) enum Value {
    /// Of a counter or a gauge that counts.
    Whole(u64),
    /// Of a counter or a gauge that measures.
    Real(f64),
    /// Of a histogram.
    Distribution(Distribution),
}

impl Family {
    /// A metric without series.
    pub(crate) fn new(metric: &'static Metric) -> Self {
        Self { metric, points: Vec::new() }
    }

    /// A metric with one series and no labels.
    pub(crate) fn single(metric: &'static Metric, value: Value) -> Self {
        Self { metric, points: vec![Point { labels: Vec::new(), value }] }
    }

    /// Adds a series that counts.
    pub(crate) fn count(&mut self, labels: &[&str], count: u64) {
        self.add(labels, Value::Whole(count));
    }

    /// Adds what a histogram holds, if it holds anything.
    pub(crate) fn histogram(&mut self, labels: &[&str], histogram: &Histogram) {
        if let Some(distribution) = histogram.read() {
            self.add(labels, Value::Distribution(distribution));
        }
    }

    fn add(&mut self, labels: &[&str], value: Value) {
        self.points.push(Point { labels: labels.iter().map(|label| (*label).to_owned()).collect(), value });
    }
}
