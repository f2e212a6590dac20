//! Native histograms, as client libraries write them into a line:
//! `{count:3,sum:4.5,schema:0,zero_threshold:0,zero_count:1,positive_spans:[0:2],positive_deltas:[1,0]}`.
//!
//! Neither format has them in a released version; they are what `prometheus_client` for Python writes and what the draft
//! of OpenMetrics 2.0 describes, which counts in `positive_buckets` what the others write as differences.

use core::fmt;

use crate::cursor::Cursor;
use crate::error::LineProblem;
use crate::value::Value;

/// Bounds are written out: a histogram with custom buckets.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

/// A histogram whose buckets grow by a constant factor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NativeHistogram<'a> {
    /// How much was counted.
    pub count: Value,
    /// The sum of what was measured.
    pub sum: f64,
    /// Buckets grow by 2^(2^-schema), from -4 to 8; or [`CUSTOM_BUCKETS_SCHEMA`].
    pub schema: i32,
    /// What is no further from zero is in the zero bucket.
    pub zero_threshold: f64,
    /// How much is in the zero bucket.
    pub zero_count: Value,
    /// Buckets of positive numbers, or all with custom bounds.
    pub positive: NativeBuckets<'a>,
    /// Buckets of negative numbers.
    pub negative: NativeBuckets<'a>,
    /// Upper bounds, if they are custom; the last one, infinity, is not written.
    pub custom_values: Numbers<'a>,
}

/// The buckets on one side of zero. There are as many counts as the spans are long.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NativeBuckets<'a> {
    spans: &'a str,
    counts: Numbers<'a>,
    are_differences: bool,
}

/// Buckets without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Of the first span, the index of its first bucket; of others, how many empty buckets are before it.
    pub offset: i32,
    /// How many buckets it has.
    pub length: u32,
}

/// Numbers, read as they are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Numbers<'a>(&'a str);

impl<'a> Numbers<'a> {
    /// The numbers, in their order.
    pub fn iter(self) -> impl Iterator<Item = f64> + Clone + use<'a> {
        parts(self.0).map_while(|part| part.parse().ok())
    }

    fn are_numbers(self) -> bool {
        self.iter().count() == parts(self.0).count()
    }
}

impl<'a> NativeBuckets<'a> {
    /// Where the buckets are.
    pub fn spans(self) -> impl Iterator<Item = Span> + Clone + use<'a> {
        parts(self.spans).map_while(read_span)
    }

    /// What is in the buckets of all spans, each by itself.
    pub fn counts(self) -> impl Iterator<Item = f64> + Clone + use<'a> {
        let mut before = 0.0;
        self.counts.iter().map(move |number| {
            before = if self.are_differences { before + number } else { number };
            before
        })
    }

    /// Whether spans and counts can be read, belong together and count nothing negative.
    fn is_sound(self) -> bool {
        let lengths: u64 = self.spans().map(|span| u64::from(span.length)).sum();
        let follow = self.spans().skip(1).all(|span| span.offset >= 0);
        self.spans().count() == parts(self.spans).count()
            && self.counts.are_numbers()
            && follow
            && lengths == self.counts().map(|_| 1_u64).sum::<u64>()
            && self.counts().all(|count| count.is_finite() && count >= 0.0)
    }
}

fn parts(text: &str) -> impl Iterator<Item = &str> + Clone {
    text.split(',').filter(move |_| !text.is_empty())
}

fn read_span(text: &str) -> Option<Span> {
    let (offset, length) = text.split_once(':')?;
    Some(Span { offset: offset.parse().ok()?, length: length.parse().ok()? })
}

impl<'a> NativeHistogram<'a> {
    /// Whether this brace opens one rather than labels.
    pub(crate) fn starts(mut rest: Cursor<'_>) -> bool {
        rest.eat(b'{') && rest.name_before_colon().is_some_and(|name| !name.is_empty())
    }

    /// Reads up to and over the closing brace.
    pub(crate) fn read(rest: &mut Cursor<'a>) -> Result<Self, LineProblem> {
        rest.eat(b'{');
        let text = rest.take_while(|byte| byte != b'}');
        let histogram = Fields::read(text).and_then(Fields::histogram).filter(|_| rest.eat(b'}'));
        histogram.ok_or(LineProblem::NativeHistogram)
    }
}

impl fmt::Display for NativeHistogram<'_> {
    /// As it is written into a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, sum, schema, zero_threshold, zero_count, positive, negative, custom_values } = self;
        let (sum, zero_threshold) = (Value::Float(*sum), Value::Float(*zero_threshold));
        write!(f, "{{count:{count},sum:{sum},schema:{schema},zero_threshold:{zero_threshold},zero_count:{zero_count}")?;
        for (side, buckets) in [("negative", negative), ("positive", positive)] {
            if !buckets.spans.is_empty() {
                let counts = if buckets.are_differences { "deltas" } else { "buckets" };
                write!(f, ",{side}_spans:[{}],{side}_{counts}:[{}]", buckets.spans, buckets.counts.0)?;
            }
        }
        if !custom_values.0.is_empty() {
            write!(f, ",custom_values:[{}]", custom_values.0)?;
        }
        f.write_str("}")
    }
}

/// What is written, each at most once.
#[derive(Default)]
struct Fields<'a> {
    count: Option<&'a str>,
    sum: Option<&'a str>,
    schema: Option<&'a str>,
    zero_threshold: Option<&'a str>,
    zero_count: Option<&'a str>,
    positive: Side<'a>,
    negative: Side<'a>,
    custom_values: Option<&'a str>,
}

#[derive(Default)]
struct Side<'a> {
    spans: Option<&'a str>,
    deltas: Option<&'a str>,
    buckets: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut fields = Self::default();
        let mut rest = Cursor::new(text);
        loop {
            let name = rest.name_before_colon()?;
            let (field, is_list) = match name {
                "count" => (&mut fields.count, false),
                "sum" => (&mut fields.sum, false),
                "schema" => (&mut fields.schema, false),
                "zero_threshold" => (&mut fields.zero_threshold, false),
                "zero_count" => (&mut fields.zero_count, false),
                "positive_spans" => (&mut fields.positive.spans, true),
                "positive_deltas" => (&mut fields.positive.deltas, true),
                "positive_buckets" => (&mut fields.positive.buckets, true),
                "negative_spans" => (&mut fields.negative.spans, true),
                "negative_deltas" => (&mut fields.negative.deltas, true),
                "negative_buckets" => (&mut fields.negative.buckets, true),
                "custom_values" => (&mut fields.custom_values, true),
                _ => return None,
            };
            let value = if is_list {
                let list = rest.eat(b'[').then(|| rest.take_while(|byte| byte != b']'))?;
                rest.eat(b']').then_some(list)?
            } else {
                rest.take_while(|byte| byte != b',')
            };
            if field.replace(value).is_some() {
                return None;
            }
            if !rest.eat(b',') {
                return rest.is_at_end().then_some(fields);
            }
        }
    }

    fn histogram(self) -> Option<NativeHistogram<'a>> {
        let schema = self.schema?.parse().ok().filter(|schema| matches!(schema, -4..=8 | &CUSTOM_BUCKETS_SCHEMA))?;
        let count = |text| Value::parse(text).filter(|count| count.is_finite() && count.as_f64() >= 0.0);
        let zero_threshold = self.zero_threshold.unwrap_or("0").parse().ok()?;
        let custom_values = Numbers(self.custom_values.unwrap_or(""));
        let histogram = NativeHistogram {
            count: count(self.count?)?,
            sum: self.sum?.parse().ok()?,
            schema,
            zero_threshold,
            zero_count: count(self.zero_count.unwrap_or("0"))?,
            positive: self.positive.buckets()?,
            negative: self.negative.buckets()?,
            custom_values,
        };
        let is_custom = schema == CUSTOM_BUCKETS_SCHEMA;
        let bounds = custom_values.iter();
        let ascend = bounds.clone().zip(bounds.clone().skip(1)).all(|(lower, upper)| lower < upper);
        let has_bounds = custom_values.are_numbers() && ascend && bounds.clone().all(f64::is_finite);
        let is_sound = zero_threshold >= 0.0 && has_bounds && (is_custom || bounds.count() == 0);
        is_sound.then_some(histogram)
    }
}

impl<'a> Side<'a> {
    fn buckets(self) -> Option<NativeBuckets<'a>> {
        let (counts, are_differences) = match (self.deltas, self.buckets) {
            (Some(_), Some(_)) => return None,
            (Some(deltas), None) => (deltas, true),
            (None, buckets) => (buckets.unwrap_or(""), false),
        };
        let buckets = NativeBuckets { spans: self.spans.unwrap_or(""), counts: Numbers(counts), are_differences };
        buckets.is_sound().then_some(buckets)
    }
}
