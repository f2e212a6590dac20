//! `kiln plugin verify`.

use kiln_audit::SignatureState;
use kiln_policy::{Digest, Visible};
use kiln_runtime::signature_of;

use super::plugin::{read, signing_keys};
use crate::cli::Verify;
use crate::exit::{Failure, print};

pub(super) fn run(arguments: &Verify) -> Result<(), Failure> {
    let Verify { file, key } = arguments;
    let keys = signing_keys(key)?;
    let bytes = read(file)?;
    let state = SignatureState::of(&signature_of(file), &bytes, &keys);
    let name = file.display().to_string();
    let (name, sentence) = (Visible(&name), state.sentence());
    print(&format!("{name}: {}\n  {}\n", Visible(&sentence), Digest::of(&bytes)))?;
    if matches!(state, SignatureState::Valid(_)) { Ok(()) } else { Err(Failure::Negative) }
}
