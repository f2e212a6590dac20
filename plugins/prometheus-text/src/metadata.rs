//! Lines that describe a family.

use crate::cursor::{Cursor, is_blank};
use crate::entry::{Entry, Type};
use crate::error::LineProblem;
use crate::escape::unescape;
use crate::format::{Mode, Options};
use crate::labels::quoted_name;

/// Reads a line that starts with `#`. In the text format whatever is no metadata is a comment, which is nothing.
pub(crate) fn read_text<'a>(line: &'a str, options: &Options) -> Result<Option<Entry<'a>>, LineProblem> {
    let mut rest = Cursor::new(line);
    rest.eat(b'#');
    rest.skip_blanks();
    let keyword = rest.word();
    let is_lenient = options.mode == Mode::Lenient;
    // Units are OpenMetrics', but there are writers that do not know.
    let is_metadata = matches!(keyword, "HELP" | "TYPE") || (keyword == "UNIT" && is_lenient);
    if !is_metadata {
        return Ok(None);
    }
    rest.skip_blanks();
    let family = family(&mut rest).ok_or(LineProblem::Metadata)?;
    rest.skip_blanks();
    if keyword == "HELP" {
        return Ok(Some(Entry::Help { family, text: unescape(rest.rest, false) }));
    }
    let word = rest.word();
    rest.skip_blanks();
    if !rest.is_at_end() {
        return Err(LineProblem::Metadata);
    }
    // No unit is as good as an empty one.
    if keyword == "UNIT" {
        return Ok(Some(Entry::Unit { family, unit: word }));
    }
    if word.is_empty() {
        return Err(LineProblem::Metadata);
    }
    let r#type = Type::of_text(word).or(is_lenient.then_some(Type::Unknown)).ok_or(LineProblem::Metadata)?;
    Ok(Some(Entry::Type { family, r#type }))
}

/// Reads a line that starts with `#`, by the letter.
pub(crate) fn read_openmetrics(line: &str) -> Result<Entry<'_>, LineProblem> {
    if line == "# EOF" {
        return Ok(Entry::Eof);
    }
    let (keyword, rest) = line
        .strip_prefix("# ")
        .and_then(|line| line.split_at_checked(4))
        .filter(|(keyword, _)| matches!(*keyword, "HELP" | "TYPE" | "UNIT"))
        .ok_or(LineProblem::NotOpenMetrics)?;
    let mut rest = Cursor::new(rest);
    let found = if rest.eat(b' ') { family(&mut rest) } else { None };
    let family = found.ok_or(LineProblem::Metadata)?;
    if !rest.eat(b' ') {
        return Err(LineProblem::Metadata);
    }
    match keyword {
        "HELP" => Ok(Entry::Help { family, text: unescape(rest.rest, true) }),
        "UNIT" if rest.rest.bytes().any(|byte| byte == b' ' || byte.is_ascii_control()) => Err(LineProblem::Metadata),
        "UNIT" => Ok(Entry::Unit { family, unit: rest.rest }),
        _ => {
            let r#type = Type::of_openmetrics(rest.rest).ok_or(LineProblem::Metadata)?;
            Ok(Entry::Type { family, r#type })
        }
    }
}

/// A name, in quotes if it has other characters than names used to have.
fn family<'a>(rest: &mut Cursor<'a>) -> Option<&'a str> {
    if rest.eat(b'"') {
        return quoted_name(rest);
    }
    let name = rest.name();
    (!name.is_empty() && rest.peek().is_none_or(is_blank)).then_some(name)
}
