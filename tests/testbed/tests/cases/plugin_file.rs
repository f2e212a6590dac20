//! Plugins that `kiln plugin pack` would refuse to make.

const MANIFEST_SECTION: &str = "kiln:manifest";

/// The component with `manifest` in place of whatever manifest it had.
pub(crate) fn with_manifest(component: &[u8], manifest: &str) -> Vec<u8> {
    let mut packed = without_manifest(component);
    let mut body = Vec::new();
    push_length(&mut body, MANIFEST_SECTION.len());
    body.extend_from_slice(MANIFEST_SECTION.as_bytes());
    body.extend_from_slice(manifest.as_bytes());
    packed.push(0);
    push_length(&mut packed, body.len());
    packed.extend_from_slice(&body);
    packed
}

/// Sections are an id, a length and a body, one after the other behind eight bytes of header.
fn without_manifest(component: &[u8]) -> Vec<u8> {
    let mut kept = component[..8].to_vec();
    let mut at = 8;
    while at < component.len() {
        let start = at;
        let id = component[at];
        at += 1;
        let length = read_length(component, &mut at);
        let body = &component[at..at + length];
        at += length;
        let mut name_at = 0;
        let is_manifest = id == 0 && {
            let length = read_length(body, &mut name_at);
            &body[name_at..name_at + length] == MANIFEST_SECTION.as_bytes()
        };
        if !is_manifest {
            kept.extend_from_slice(&component[start..at]);
        }
    }
    kept
}

fn push_length(bytes: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        bytes.push((length as u8 & 0x7f) | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
}

fn read_length(bytes: &[u8], at: &mut usize) -> usize {
    let mut length = 0;
    for shift in (0..35).step_by(7) {
        let byte = bytes[*at];
        *at += 1;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    length
}
