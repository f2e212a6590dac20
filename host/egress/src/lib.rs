//! The one door through which a plugin's bytes leave the process.
//!
//! A request passes, in this order and never in another: its URL is parsed once; the policy finds the rule that covers
//! it; headers that are not the plugin's to set are refused; the host is resolved and every address is held against
//! that rule's scope; only what is left is dialled. The credential is attached after the rule is known and exists
//! nowhere but in the token source of that rule's origin.
//!
//! What keeps this true:
//!
//! - every rule has a client of its own, so a connection and an address scope are never shared between rules, and a
//!   token only between rules of one origin that sign in the same way;
//! - the host's own requests for tokens pass the same resolver and the same caps;
//! - addresses are checked inside the resolver that the connection uses, so what is checked is what is dialled;
//! - proxies and cookies are off, and so are redirects unless a grant says how many may be followed: then each passes
//!   every check anew and takes nothing along to another origin;
//! - whatever is read is capped before it is stored, and every call ends within its time.
//!
//! What this does not prevent: a server that repeats the credential in its answer shows it to the plugin. The operator
//! who grants an origin together with a credential trusts that origin with it.

mod ambient;
mod body;
mod client;
mod credentials;
mod door;
mod egress;
mod error;
mod failure;
mod fetch;
mod found;
mod gunzip;
mod limits;
mod opened;
mod proxies;
mod rate;
mod record;
mod redirect;
mod rehearsal;
mod request;
mod resolver;
mod response;
mod retry;
#[cfg(test)]
mod tests;
mod token;
mod trust;

pub use credentials::{CredentialError, Credentials};
pub use egress::{Egress, EgressSpec};
pub use error::{EgressError, Error};
pub use fetch::fetch;
pub use found::{Discovery, FoundAnswer};
pub use limits::EgressLimits;
pub use opened::{Body, Opened};
pub use rehearsal::{Part, Rehearsal, ScriptedAnswer};
pub use request::Request;
pub use response::Response;
pub use trust::TlsFileError;
