//! Which plugin files may run at all: `policy.plugins`, `policy.signing_keys` and what they require.
//!
//! Decided before a plugin is compiled, and for every way a plugin can come to run: at the start, at a reload, and in
//! `kiln validate`. What is required and not given refuses; nothing is let through for lack of a rule.

use std::collections::BTreeMap;
use std::fmt;

use crate::config_line::ConfigLine;
use crate::digest::Digest;
use crate::name::PluginName;
use crate::signature::{SignatureError, SignatureFile, SigningKey, ValidSignature, verify_signature};

/// What the operator says of plugin files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginRules {
    /// The plugins that may run, by name; `None` does not ask for names.
    pub plugins: Option<ListedPlugins>,
    /// Every plugin must be signed by one of these, unless its rule has keys of its own. Empty: nobody has to sign.
    pub signing_keys: Vec<SigningKey>,
    /// Whether a plugin needs a rule with digests.
    pub require_digest: bool,
    /// Whether a plugin needs to be signed, even if no key is given.
    pub require_signature: bool,
}

/// `policy.plugins`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPlugins {
    /// Rules by the name of the plugin.
    pub rules: BTreeMap<PluginName, PluginRule>,
    /// Where the list is written.
    pub written: ConfigLine,
}

/// One entry of `policy.plugins`. All that it says must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginRule {
    /// The files that may be it; `None` does not ask.
    pub digests: Option<Vec<Digest>>,
    /// The keys that may have signed it, in place of the general ones; `None` leaves it at those.
    pub signing_keys: Option<Vec<SigningKey>>,
    /// Where the entry is written.
    pub written: ConfigLine,
}

/// A plugin file, as far as these rules look at it.
#[derive(Clone, Copy, Debug)]
pub struct PluginFile<'a> {
    /// The name in its manifest.
    pub name: &'a PluginName,
    /// What is compiled if it is allowed.
    pub bytes: &'a [u8],
    /// Of `bytes`.
    pub digest: Digest,
    /// What stands beside it.
    pub signature: &'a SignatureFile,
}

impl PluginRules {
    /// The keys one of which has to have signed the plugin; none if nobody has to.
    #[must_use]
    pub fn keys_for(&self, plugin: &PluginName) -> &[SigningKey] {
        let rule = self.plugins.as_ref().and_then(|listed| listed.rules.get(plugin));
        rule.and_then(|rule| rule.signing_keys.as_deref()).unwrap_or(&self.signing_keys)
    }

    /// Judges a file, and tells by whom it is signed if that was asked for.
    ///
    /// # Errors
    /// The first rule it does not meet, and what would change that.
    pub fn check(&self, file: &PluginFile<'_>) -> Result<Option<ValidSignature>, NotAllowed> {
        let refuse = |reason| NotAllowed { plugin: file.name.clone(), digest: file.digest, reason };
        let rule = match &self.plugins {
            None => None,
            Some(listed) => match listed.rules.get(file.name) {
                Some(rule) => Some(rule),
                None => return Err(refuse(Reason::NotListed { written: listed.written.clone() })),
            },
        };
        match rule.and_then(|rule| Some((rule, rule.digests.as_ref()?))) {
            Some((_, digests)) if digests.contains(&file.digest) => {}
            Some((rule, _)) => return Err(refuse(Reason::OtherDigest { written: rule.written.clone() })),
            None if self.require_digest => return Err(refuse(Reason::NoDigest)),
            None => {}
        }
        let keys = self.keys_for(file.name);
        if keys.is_empty() {
            // Keys of its own are never none: an empty list of them trusts nobody.
            let has_own = rule.is_some_and(|rule| rule.signing_keys.is_some());
            let required = self.require_signature || has_own;
            return if required { Err(refuse(Reason::NoKeys)) } else { Ok(None) };
        }
        match file.signature {
            SignatureFile::Text(text) => match verify_signature(text, file.bytes, keys) {
                Ok(signature) => Ok(Some(signature)),
                Err(error) => Err(refuse(Reason::Signature(error))),
            },
            SignatureFile::Absent => Err(refuse(Reason::Unsigned)),
            SignatureFile::Unreadable(error) => Err(refuse(Reason::UnreadableSignature(error.clone()))),
        }
    }
}

/// A plugin file that may not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct NotAllowed {
    /// The name in its manifest.
    pub plugin: PluginName,
    /// Of the file.
    pub digest: Digest,
    /// Why.
    pub reason: Reason,
}

/// Why a plugin file may not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `policy.plugins` lists others.
    NotListed {
        /// Where the list is.
        written: ConfigLine,
    },
    /// The rule has digests, and this is none of them.
    OtherDigest {
        /// Where the rule is.
        written: ConfigLine,
    },
    /// A digest is required and none is given.
    NoDigest,
    /// A signature is required and no key is given.
    NoKeys,
    /// There is no signature.
    Unsigned,
    /// There is something in the place of a signature that cannot be read.
    UnreadableSignature(String),
    /// The signature is not good.
    Signature(SignatureError),
}

impl Reason {
    /// A word for metrics and structured logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NotListed { .. } => "not_listed",
            Self::OtherDigest { .. } | Self::NoDigest => "digest",
            Self::NoKeys | Self::Unsigned | Self::UnreadableSignature(_) | Self::Signature(_) => "signature",
        }
    }
}

/// A whole sentence: `plugin `databricks` (sha256:…) is not allowed: …`.
impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plugin, digest, reason } = self;
        write!(f, "plugin `{plugin}` ({digest}) is not allowed: ")?;
        match reason {
            Reason::NotListed { written } => write!(
                f,
                "{written} does not list it; to allow this file, add there\n    {plugin}: {{ digests: [\"{digest}\"] }}"
            ),
            Reason::OtherDigest { written } => write!(
                f,
                "{written}.digests lists other files; if this is the one you mean, add there\n    \"{digest}\""
            ),
            Reason::NoDigest => write!(
                f,
                "`policy.require_digest` is set and no digest is given for it; to allow this file, add\n    policy:\n      \
                 plugins:\n        {plugin}: {{ digests: [\"{digest}\"] }}"
            ),
            Reason::NoKeys => f.write_str(
                "a signature is required and no key is given to check it with; add the public key of whom you trust\n    \
                 policy:\n      signing_keys: [ \"${file:/etc/kiln/minisign.pub}\" ]",
            ),
            Reason::Unsigned => f.write_str(
                "it is not signed; have it signed by one of the keys in `signing_keys`, `minisign -Sm FILE.wasm`, and \
                 put FILE.wasm.minisig beside it",
            ),
            Reason::UnreadableSignature(error) => write!(f, "its .minisig file cannot be read: {error}"),
            Reason::Signature(error @ SignatureError::OtherKey { .. }) => {
                write!(f, "its signature {error}; if you trust that key, add it to `policy.signing_keys`")
            }
            Reason::Signature(error) => write!(f, "its signature {error}"),
        }
    }
}
