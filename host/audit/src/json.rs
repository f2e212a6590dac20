//! An inspection for machines.

use kiln_policy::is_hidden;

use crate::inspection::Inspection;

/// Pretty-printed JSON in ASCII where a character would not show: terminals print what machines are meant to read.
///
/// # Errors
/// Never, as far as is known.
pub fn to_json(inspection: &Inspection) -> Result<String, serde_json::Error> {
    let json = serde_json::to_string_pretty(inspection)?;
    let mut text = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        if c != '\n' && is_hidden(c) {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}")));
        } else {
            text.push(c);
        }
    }
    text.push('\n');
    Ok(text)
}
