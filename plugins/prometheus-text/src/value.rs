//! Numbers and points in time.

/// A number. Java writes whole numbers without a point, and 64 bits of them do not fit into a float.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Written as a whole number.
    Integer(i64),
    /// Written with a point or an exponent, or not a finite number, or too large.
    Float(f64),
}

impl Value {
    /// The number a word stands for: `2.89E7`, `NaN`, `+Inf` and Java's `Infinity` are all read; `0x1p3` and `1_000` are
    /// not.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word.parse() {
            Ok(integer) => Some(Self::Integer(integer)),
            Err(_) => word.parse().ok().map(Self::Float),
        }
    }

    /// As [`Value::parse`], without the `-nan` that neither specification knows.
    pub(crate) fn read_strict(word: &str) -> Option<Self> {
        Self::parse(word).filter(|value| !value.is_nan() || !word.starts_with(['+', '-']))
    }

    /// The nearest float.
    #[must_use]
    pub const fn as_f64(self) -> f64 {
        match self {
            Self::Integer(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// The nearest integer; the nearest there is, when it does not fit; zero for `NaN`.
    #[must_use]
    pub fn as_i64(self) -> i64 {
        match self {
            Self::Integer(value) => value,
            // Half away from zero, as `f64::round` does; it is not in `core`. Halves end where floats have 52 bits.
            Self::Float(value) if (-4.5e15..4.5e15).contains(&value) => {
                let whole = value as i64;
                let part = value - whole as f64;
                whole + i64::from(part >= 0.5) - i64::from(part <= -0.5)
            }
            Self::Float(value) => value as i64,
        }
    }

    /// Whether it is neither infinite nor `NaN`.
    #[must_use]
    pub const fn is_finite(self) -> bool {
        match self {
            Self::Integer(_) => true,
            Self::Float(value) => value.is_finite(),
        }
    }

    /// Whether it is `NaN`.
    #[must_use]
    pub const fn is_nan(self) -> bool {
        match self {
            Self::Integer(_) => false,
            Self::Float(value) => value.is_nan(),
        }
    }

    /// Whether it is a whole number, however it was written.
    #[must_use]
    pub fn is_whole(self) -> bool {
        match self {
            Self::Integer(_) => true,
            // Floats beyond 2^53 have no fractions.
            Self::Float(value) => value.is_finite() && (value.abs() >= 9.1e15 || value as i64 as f64 == value),
        }
    }
}

/// A point in time. The text format writes whole milliseconds and OpenMetrics seconds with a fraction; what does not fit
/// into nanoseconds of 64 bits (before 1677, after 2262) is the nearest that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the Unix epoch; what is finer is cut off.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0 / 1_000_000
    }

    pub(crate) fn read_millis(word: &str) -> Option<Self> {
        word.parse().ok().map(Self::from_millis)
    }

    /// Decimal places are taken as they are written: a float of today's seconds would be a quarter of a microsecond off.
    pub(crate) fn read_seconds(word: &str) -> Option<Self> {
        let seconds: f64 = word.parse().ok().filter(|seconds: &f64| seconds.is_finite())?;
        Some(Self::read_decimal(word).unwrap_or(Self::from_seconds(seconds)))
    }

    pub(crate) fn from_seconds(seconds: f64) -> Self {
        Self((seconds * 1e9) as i64)
    }

    fn read_decimal(word: &str) -> Option<Self> {
        let (sign, digits) = match word.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, word.strip_prefix('+').unwrap_or(word)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let mut nanos: i64 = 0;
        for digit in whole.bytes().chain(fraction.bytes().chain(core::iter::repeat(b'0')).take(9)) {
            let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
            nanos = nanos.checked_mul(10)?.checked_add(i64::from(digit) * sign)?;
        }
        fraction.bytes().all(|digit| digit.is_ascii_digit()).then_some(Self(nanos))
    }
}
