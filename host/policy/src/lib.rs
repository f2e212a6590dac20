//! What a plugin may do, decided before it runs.
//!
//! Three sets, always in this order: **imports ⊆ requests ⊆ grants**. Imports are what the component can call,
//! requests what its manifest says it needs and why, grants what the operator's configuration gives. A plugin whose
//! sets do not nest does not load, and the error prints the lines that would make them nest.
//!
//! Nothing here knows wasmtime, opens a socket or reads a file: every version of the contract and every surface that
//! explains a decision asks the same pure functions.

mod address;
mod condition;
mod config_line;
mod credential;
mod declared;
mod digest;
mod effective;
mod file_pattern;
mod files;
mod grant;
mod imports;
mod manifest;
mod missing_grant;
mod name;
mod origin;
mod origin_range;
mod path;
mod plugin_rules;
mod policy_error;
mod processor_declaration;
mod proxy;
mod request;
mod setting;
mod sign_in;
mod signature;
mod target;
mod tls_files;
mod url_template;
mod visible;
mod wasi;

pub use address::{AddressDenied, AddressRule, AddressScope};
pub use condition::Condition;
pub use config_line::ConfigLine;
pub use credential::{
    ClientAuthentication, ClientCredentialsRequest, CredentialAlternative, CredentialRequest, EndpointRequest,
    InvalidCredential,
};
pub use declared::{
    AttributeDeclaration, AttributeType, Declared, EventDeclaration, MetricDeclaration, MetricKind, NumberType,
    Undeclared,
};
pub use digest::{Digest, InvalidDigest};
pub use effective::{Denial, GrantSource, HttpRule, Policy};
pub use file_pattern::{FilePattern, InvalidFilePattern, Reach};
pub use files::{
    EnvironmentRequest, FilesGrant, FilesRequest, FilesRule, GuestPath, HostPath, InvalidDirectory,
    InvalidVariableName, VariableName,
};
pub use grant::{Grants, HttpGrant, Redirects, WrittenGrants};
pub use imports::{Capability, Import, ImportError, check_imports};
pub use manifest::{MANIFEST_SECTION, Manifest, ManifestError, PluginKind, WIT_VERSION};
pub use missing_grant::MissingGrant;
pub use name::PluginName;
pub use origin::{Origin, OriginError};
pub use origin_range::OriginRange;
pub use path::PathPattern;
pub use plugin_rules::{ListedPlugins, NotAllowed, PluginFile, PluginRule, PluginRules, Reason};
pub use policy_error::PolicyError;
pub use processor_declaration::{EditKind, Level, NotDeclared, ProcessorDeclaration};
pub use proxy::{InvalidProxy, ProxyRule, ProxyUrl};
pub use request::{ConfigField, HttpRequest, Method, OriginRequest, Requests, StateRequest};
pub use setting::{Element, Setting};
pub use sign_in::{ClientCredentials, Credential, TokenEndpoint};
pub use signature::{
    ClaimedSignature, InvalidSigningKey, KeyId, MAX_SIGNATURE_BYTES, SIGNATURE_EXTENSION, SignatureError,
    SignatureFile, SigningKey, ValidSignature, read_signature, verify_signature,
};
pub use target::Target;
pub use tls_files::TlsFiles;
pub use url_template::{InvalidUrlTemplate, Misfit, UrlTemplate};
pub use visible::{Visible, is_hidden};
pub use wasi::{WasiClass, WasiInterface};
