//! Joining values of gauges and sums.

use super::point::Member;
use crate::edit::GaugeAggregation;
use crate::points::Number;
use crate::wire::{Fields, Malformed, Value, Writer};

/// Values with their times; a point that holds none adds none.
fn values(members: &[&Member<'_>]) -> Result<Vec<(u64, Number)>, Malformed> {
    let mut values = Vec::with_capacity(members.len());
    for member in members {
        let mut value = None;
        for field in Fields::of(member.content) {
            let field = field?;
            match (field.number, field.value) {
                (4, Value::Fixed64(bits)) => value = Some(Number::Float(f64::from_bits(bits))),
                (6, Value::Fixed64(bits)) => value = Some(Number::Integer(bits as i64)),
                _ => {}
            }
        }
        values.extend(value.map(|value| (member.time, value)));
    }
    Ok(values)
}

pub(super) fn write_sum(writer: &mut Writer, members: &[&Member<'_>]) -> Result<(), Malformed> {
    write(writer, sum(&values(members)?));
    Ok(())
}

pub(super) fn write_gauge(
    writer: &mut Writer,
    members: &[&Member<'_>],
    function: GaugeAggregation,
) -> Result<(), Malformed> {
    let values = values(members)?;
    let numbers = values.iter().map(|(_, number)| *number);
    let joined = match function {
        // Of several as late as each other the one that arrived last.
        GaugeAggregation::Last => values.iter().max_by_key(|(time, _)| *time).map(|(_, number)| *number),
        GaugeAggregation::Min => numbers.reduce(|a, b| pick(a, b, i64::min, f64::min)),
        GaugeAggregation::Max => numbers.reduce(|a, b| pick(a, b, i64::max, f64::max)),
        GaugeAggregation::Sum => sum(&values),
        GaugeAggregation::Mean => {
            let total: f64 = numbers.map(float).sum();
            (!values.is_empty()).then(|| Number::Float(total / values.len() as f64))
        }
    };
    write(writer, joined);
    Ok(())
}

fn sum(values: &[(u64, Number)]) -> Option<Number> {
    let add = |a, b| match (a, b) {
        (Number::Integer(a), Number::Integer(b)) => {
            a.checked_add(b).map_or(Number::Float(a as f64 + b as f64), Number::Integer)
        }
        (a, b) => Number::Float(float(a) + float(b)),
    };
    values.iter().map(|(_, number)| *number).reduce(add)
}

fn pick(a: Number, b: Number, integers: fn(i64, i64) -> i64, floats: fn(f64, f64) -> f64) -> Number {
    match (a, b) {
        (Number::Integer(a), Number::Integer(b)) => Number::Integer(integers(a, b)),
        (a, b) => Number::Float(floats(float(a), float(b))),
    }
}

const fn float(number: Number) -> f64 {
    match number {
        Number::Integer(integer) => integer as f64,
        Number::Float(float) => float,
    }
}

fn write(writer: &mut Writer, number: Option<Number>) {
    match number {
        Some(Number::Float(value)) => writer.double(4, value),
        Some(Number::Integer(value)) => writer.fixed64(6, value as u64),
        None => {}
    }
}
