//! Tables as CSV, strictly as RFC 4180 has it: a first line with names, commas, quotes doubled within quotes.
//!
//! What the RFC does not allow is an error with its line and not a guess: a quote that is never closed would otherwise
//! swallow the rest of the table. A byte order mark and empty lines are passed over, because spreadsheets and editors
//! leave them behind.

use kiln_plugin::telemetry::AttributeValue;

use crate::table::{Builder, Problem, Row, Table, TableError, check_value, excerpt};

/// Reads a table.
///
/// # Errors
/// What is wrong with it, and on which line.
pub(crate) fn read(content: &[u8], mut table: Builder<'_>) -> Result<Table, TableError> {
    let text = match core::str::from_utf8(content) {
        Ok(text) => text,
        Err(error) => {
            let before = content.get(..error.valid_up_to()).unwrap_or_default();
            return Err(Problem::NotUtf8.on_line(1 + before.iter().filter(|byte| **byte == b'\n').count()));
        }
    };
    let mut records = Records { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 };
    let Some((line, columns)) = records.next()? else {
        return Err(Problem::NoHeader.into());
    };
    let header = Header::read(columns, &mut table).map_err(|problem| problem.on_line(line))?;
    while let Some((line, fields)) = records.next()? {
        header.add(fields, &mut table).map_err(|problem| problem.on_line(line))?;
    }
    Ok(table.finish()?)
}

/// What becomes of each column.
struct Header {
    columns: Vec<String>,
    places: Vec<Vec<usize>>,
    key: usize,
    width: usize,
}

impl Header {
    fn read(columns: Vec<String>, table: &mut Builder<'_>) -> Result<Self, Problem> {
        for (index, name) in columns.iter().enumerate() {
            if columns.iter().take(index).any(|other| other == name) && !name.is_empty() {
                return Err(Problem::NameTwice { name: excerpt(name) });
            }
        }
        let missing = |column: &str| Problem::NoColumn {
            column: column.to_owned(),
            columns: columns.iter().map(|name| excerpt(name)).collect(),
        };
        let key = columns.iter().position(|name| name == table.key_column());
        let key = key.ok_or_else(|| missing(table.key_column()))?;
        if let Some(target) = table.target_without_column(&columns) {
            return Err(missing(&target.column));
        }
        let places = columns.iter().map(|name| table.places(name)).collect::<Result<Vec<_>, _>>()?;
        let width = places.iter().flatten().max().map_or(0, |last| last + 1);
        Ok(Self { columns, places, key, width })
    }

    fn add(&self, fields: Vec<String>, table: &mut Builder<'_>) -> Result<(), Problem> {
        if fields.len() != self.columns.len() {
            return Err(Problem::Fields { found: fields.len(), expected: self.columns.len() });
        }
        let mut row: Row = vec![None; self.width];
        let mut key = String::new();
        for (index, ((field, column), places)) in fields.into_iter().zip(&self.columns).zip(&self.places).enumerate() {
            check_value(column, &field)?;
            // An empty field is a value that is not there: CSV has no other word for it.
            if !field.is_empty() {
                for place in places {
                    if let Some(value) = row.get_mut(*place) {
                        *value = Some(AttributeValue::from(field.as_str()));
                    }
                }
            }
            if index == self.key {
                key = field;
            }
        }
        table.add(key, row)
    }
}

/// The records of a text, one after the other.
struct Records<'t> {
    rest: &'t str,
    /// Where `rest` begins.
    line: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Field,
    Record,
}

impl<'t> Records<'t> {
    /// The next record and the line it begins on.
    fn next(&mut self) -> Result<Option<(usize, Vec<String>)>, TableError> {
        while !self.rest.is_empty() {
            let line = self.line;
            let mut fields = Vec::new();
            loop {
                let (field, end) = self.field()?;
                fields.push(field);
                if end == End::Record {
                    break;
                }
            }
            // Else it is a line with nothing on it.
            if fields.len() > 1 || fields.first().is_some_and(|field| !field.is_empty()) {
                return Ok(Some((line, fields)));
            }
        }
        Ok(None)
    }

    fn field(&mut self) -> Result<(String, End), TableError> {
        match self.rest.strip_prefix('"') {
            Some(rest) => self.quoted(rest),
            None => self.plain(),
        }
    }

    fn plain(&mut self) -> Result<(String, End), TableError> {
        let (line, text) = (self.line, self.rest);
        let length = text.find([',', '\n']).unwrap_or(text.len());
        let (field, rest) = text.split_at_checked(length).unwrap_or((text, ""));
        let end = self.pass_end(rest).unwrap_or(End::Record);
        let field = if end == End::Record { field.strip_suffix('\r').unwrap_or(field) } else { field };
        if field.contains('"') {
            return Err(Problem::QuoteInText { value: excerpt(field) }.on_line(line));
        }
        Ok((field.to_owned(), end))
    }

    /// A field whose opening quote has been passed.
    fn quoted(&mut self, mut rest: &'t str) -> Result<(String, End), TableError> {
        let opened = self.line;
        let mut field = String::new();
        while let Some((text, after)) = rest.split_once('"') {
            field.push_str(text);
            self.line += text.bytes().filter(|byte| *byte == b'\n').count();
            match after.strip_prefix('"') {
                Some(after) => {
                    field.push('"');
                    rest = after;
                }
                None => {
                    let line = self.line;
                    let end = self.pass_end(after);
                    let end = end.ok_or_else(|| Problem::TextAfterQuote { value: excerpt(&field) }.on_line(line))?;
                    return Ok((field, end));
                }
            }
        }
        Err(Problem::OpenQuote.on_line(opened))
    }

    /// Passes what ends a field, if that is what comes.
    fn pass_end(&mut self, text: &'t str) -> Option<End> {
        let (rest, end) = match (text.strip_prefix(','), text.strip_prefix('\n').or(text.strip_prefix("\r\n"))) {
            (Some(rest), _) => (rest, End::Field),
            (None, Some(rest)) => (rest, End::Record),
            (None, None) if text.is_empty() => (text, End::Record),
            (None, None) => return None,
        };
        self.rest = rest;
        self.line += usize::from(end == End::Record);
        Some(end)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records(text: &str) -> Result<Vec<(usize, Vec<String>)>, String> {
        let mut records = Records { rest: text, line: 1 };
        let mut all = Vec::new();
        while let Some(record) = records.next().map_err(|error| error.to_string())? {
            all.push(record);
        }
        Ok(all)
    }

    fn fields(text: &str) -> Vec<Vec<String>> {
        records(text).unwrap().into_iter().map(|(_, fields)| fields).collect()
    }

    #[test]
    fn lines_end_either_way_and_the_last_one_need_not() {
        for text in ["a,b\n1,2\n", "a,b\r\n1,2\r\n", "a,b\n1,2", "\na,b\n\r\n1,2\n\n"] {
            assert_eq!(fields(text), [["a", "b"], ["1", "2"]], "{text:?}");
        }
        assert_eq!(fields("a,\n,b\n,"), [["a", ""], ["", "b"], ["", ""]]);
    }

    #[test]
    fn quotes_hold_commas_lines_and_quotes() {
        assert_eq!(fields("\"a,b\",\"c\nd\",\"say \"\"hi\"\"\"\n"), [["a,b", "c\nd", "say \"hi\""]]);
        assert_eq!(records("\"a\nb\"\nc").unwrap().iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(fields("\"\",x"), [["", "x"]]);
    }

    #[test]
    fn what_the_standard_does_not_allow_is_an_error_with_its_line() {
        assert_eq!(records("a\nb,\"c\nd").unwrap_err(), "line 2: a quote opens here and is not closed");
        assert!(records("a\n5\" disk,c").unwrap_err().starts_with("line 2: `5\" disk` has a quote within it"));
        assert!(records("a\n\"x\"y,c").unwrap_err().starts_with("line 2: text follows the quoted value `x`"));
    }

    proptest! {
        /// Whatever values a table has, written as RFC 4180 says they are read as they were.
        #[test]
        fn what_is_written_is_read(table in prop::collection::vec(prop::collection::vec(".*|[\",\r\n a]*", 2..5), 1..6)) {
            let quoted = |value: &String| format!("\"{}\"", value.replace('"', "\"\""));
            let line = |record: &Vec<String>| record.iter().map(quoted).collect::<Vec<_>>().join(",");
            let text = table.iter().map(line).collect::<Vec<_>>().join("\r\n");
            prop_assert_eq!(fields(&text), table);
        }

        /// No text makes it panic or go on for ever, and lines are counted to the end.
        #[test]
        fn any_text_is_read_or_refused(text in "[\",\r\n ab\u{e9}]*") {
            if let Ok(records) = records(&text) {
                prop_assert!(records.iter().all(|(line, _)| *line <= 1 + text.matches('\n').count()));
            }
        }
    }
}
