//! What a plugin can do, told to the people who have to judge it.
//!
//! Nothing here decides anything: policy and runtime do, and this crate says what they decided and why. Whatever a
//! plugin's author could have written is a stranger's text, which must neither steer a terminal, nor reorder a line, nor
//! become markup. A file is looked at without running or compiling it, whatever it holds.

mod bill;
mod configuration;
mod contents;
mod difference;
mod facts;
mod html;
mod inspection;
mod instance_grants;
mod json;
mod lock;
mod packages;
mod signature_state;
mod text;

pub use bill::{Part, bill_of_materials};
pub use contents::{Contents, Producer};
pub use difference::Difference;
pub use html::to_html;
pub use inspection::{CapabilityUse, ImportedInterface, Inspection, Subject, Verdict};
pub use instance_grants::{Grant, InstanceGrants};
pub use json::to_json;
pub use lock::{Drift, LOCK_FILE, Lock, LockError, MAX_LOCK_BYTES};
pub use packages::{InvalidPackage, PACKAGES_SECTION, Package, pack_packages, read_packages};
pub use signature_state::SignatureState;
pub use text::to_text;
