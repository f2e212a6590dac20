//! Whether the samples of one histogram go together.

use crate::entry::Sample;
use crate::error::LineProblem;

/// One histogram, at one time.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    /// Upper bound of the last bucket, and what was counted up to there.
    last: Option<(f64, f64)>,
    has_negative_bucket: bool,
    count: Option<f64>,
    /// Of a histogram that counts.
    sum: Option<f64>,
    /// Of a gauge histogram.
    gauge_sum: Option<f64>,
}

impl Histogram {
    /// Takes a sample called like the family and `suffix`.
    pub(super) fn take(&mut self, suffix: &str, sample: &Sample<'_>) -> Result<(), LineProblem> {
        let value = sample.value.as_f64();
        match suffix {
            "_bucket" => {
                let bound = upper_bound(sample).ok_or(LineProblem::TypeLabel)?;
                if self.last.is_some_and(|(below, counted)| bound <= below || value < counted) {
                    return Err(LineProblem::BucketOrder);
                }
                self.has_negative_bucket |= bound < 0.0;
                self.last = Some((bound, value));
            }
            "_count" | "_gcount" => self.count = Some(value),
            "_sum" => self.sum = Some(value),
            "_gsum" => self.gauge_sum = Some(value),
            _ => {}
        }
        Ok(())
    }

    /// It has no more samples.
    pub(super) fn close(&self) -> Result<(), LineProblem> {
        let (_, counted) =
            self.last.filter(|(bound, _)| *bound == f64::INFINITY).ok_or(LineProblem::NoInfinityBucket)?;
        let has_sum = self.sum.is_some() || self.gauge_sum.is_some();
        let goes_together = self.count.is_none_or(|count| count == counted)
            && self.count.is_some() == has_sum
            && !(self.has_negative_bucket && self.sum.is_some())
            && (self.has_negative_bucket || self.gauge_sum.is_none_or(|sum| sum >= 0.0));
        if goes_together { Ok(()) } else { Err(LineProblem::HistogramParts) }
    }
}

/// The number in `le`. There is one way to write infinity.
fn upper_bound(bucket: &Sample<'_>) -> Option<f64> {
    let written = bucket.labels.get("le")?;
    let bound: f64 = written.parse().ok()?;
    (!bound.is_nan() && (bound != f64::INFINITY || written == "+Inf")).then_some(bound)
}
