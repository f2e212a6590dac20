//! Where a cluster reads the bundle from.
//!
//! Invariant: a [`Source`] is an absolute directory, an `https` prefix or a prefix in an object store, holds no control
//! character and no credential, and does not end in `/`, so that `{source}/{file}` names a file. A script that holds it
//! therefore holds no secret.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// Bytes of a source at most, as of a path in Linux.
const MAX_BYTES: usize = 4096;

/// A directory on the cluster, an `https` prefix, or a prefix in S3, Google Cloud Storage or Azure Data Lake Storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source(String);

impl Source {
    /// Reads what an operator typed.
    ///
    /// # Errors
    /// What a cluster could not read from, or could but should not.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        if text.len() > MAX_BYTES {
            return Err(SourceError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(SourceError::ControlCharacter);
        }
        if text.starts_with('/') {
            return directory(text);
        }
        match text.split_once(':') {
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => prefix(text),
            Some((scheme @ ("s3" | "gs" | "abfss"), _)) => object_store(scheme, text),
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => Err(SourceError::NotEncrypted),
            Some((scheme, path)) if scheme.eq_ignore_ascii_case("dbfs") => match path.strip_prefix("/Volumes/") {
                Some(rest) => Err(SourceError::VolumeAsDbfs(format!("/Volumes/{rest}"))),
                None => Err(SourceError::Dbfs),
            },
            Some((scheme, _)) if text.contains("://") => Err(SourceError::Scheme(scheme.to_owned())),
            _ => Err(SourceError::Relative(text.to_owned())),
        }
    }

    /// The directory or prefix, without a slash at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn directory(text: &str) -> Result<Source, SourceError> {
    if text.split('/').any(|part| part == "..") {
        return Err(SourceError::Upwards(text.to_owned()));
    }
    match text.trim_end_matches('/') {
        "" => Err(SourceError::Root),
        path => Ok(Source(path.to_owned())),
    }
}

fn prefix(text: &str) -> Result<Source, SourceError> {
    let url = Url::parse(text).map_err(SourceError::Url)?;
    // A query is where signed links keep their signature.
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(SourceError::Credential);
    }
    if url.fragment().is_some() {
        return Err(SourceError::Fragment);
    }
    Ok(Source(url.as_str().trim_end_matches('/').to_owned()))
}

/// What the script turns into a URL itself, so it holds nothing that would have to be escaped in one.
fn object_store(scheme: &str, text: &str) -> Result<Source, SourceError> {
    let malformed = || SourceError::ObjectStore { text: text.to_owned(), example: example(scheme) };
    let rest = text.get(scheme.len()..).and_then(|rest| rest.strip_prefix("://")).ok_or_else(malformed)?;
    let (place, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let is_plain = |name: &str, more: &str| {
        !name.is_empty()
            && name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    let is_place = match scheme {
        "abfss" => place.split_once('@').is_some_and(|(container, host)| {
            let account =
                host.split_once(".dfs.").filter(|(_, suffix)| is_plain(suffix, ".")).map(|(account, _)| account);
            is_plain(container, "-") && account.is_some_and(|account| is_plain(account, ""))
        }),
        _ => is_plain(place, ".-_"),
    };
    let prefix = prefix.trim_end_matches('/');
    let is_prefix = |part: &str| {
        !matches!(part, "" | "." | "..") && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    if !is_place || !(prefix.is_empty() || prefix.split('/').all(is_prefix)) {
        return Err(malformed());
    }
    Ok(Source(text.trim_end_matches('/').to_owned()))
}

fn example(scheme: &str) -> &'static str {
    match scheme {
        "s3" => "s3://bucket/kiln",
        "gs" => "gs://bucket/kiln",
        _ => "abfss://container@account.dfs.core.windows.net/kiln",
    }
}

/// Why a text is no [`Source`]. The text itself is left out where it may hold a credential.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Not absolute.
    #[error(
        "the source `{0}` is relative: the script runs on a cluster, so give a directory there such as \
         /Volumes/main/ops/kiln, or an https:// prefix"
    )]
    Relative(String),
    /// The root directory.
    #[error(
        "the source `/` is the root directory: give the directory that holds the bundle, such as /Volumes/main/ops/kiln"
    )]
    Root,
    /// A path that climbs.
    #[error("the source `{0}` holds `..`: write the path as it is on the cluster")]
    Upwards(String),
    /// Longer than any path.
    #[error("the source is longer than {MAX_BYTES} bytes: no path on a cluster is")]
    TooLong,
    /// A path that would break a line of the script or of its log.
    #[error("the source holds a control character: write it on one line, without tabs")]
    ControlCharacter,
    /// DBFS.
    #[error(
        "init scripts cannot be loaded from DBFS: copy the bundle to a Unity Catalog volume and give its path, such as \
         /Volumes/main/ops/kiln"
    )]
    Dbfs,
    /// A volume in the notation of the Databricks CLI.
    #[error("on a cluster a volume is a directory: write {0}")]
    VolumeAsDbfs(String),
    /// Plain HTTP.
    #[error("the source is plain http: use https, because the configuration travels with the bundle")]
    NotEncrypted,
    /// An object store, not as the script can read it.
    #[error("`{text}` is no prefix of an object store: write it as in {example}, in letters, digits, `.`, `_` and `-`")]
    ObjectStore {
        /// What was typed.
        text: String,
        /// What to type.
        example: &'static str,
    },
    /// Another scheme.
    #[error(
        "nothing on a cluster reads `{0}://`: use a directory such as /Volumes/main/ops/kiln, or a prefix that begins with \
         https://, s3://, gs:// or abfss://"
    )]
    Scheme(String),
    /// Not a URL.
    #[error("the source is no URL: {0}")]
    Url(#[source] url::ParseError),
    /// Something that looks like a secret.
    #[error(
        "the source holds a user name, a password or a query: the script is readable by everybody who may start a \
         cluster, so put the bundle where no credential is needed, such as a Unity Catalog volume"
    )]
    Credential,
    /// A fragment.
    #[error("the source holds a `#` fragment: file names are appended to it, so leave the fragment out")]
    Fragment,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn source(text: &str) -> String {
        Source::parse(text).unwrap().to_string()
    }

    #[track_caller]
    fn refusal(text: &str) -> String {
        Source::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_directory_on_the_cluster_is_taken_as_it_is() {
        assert_eq!(source("/Volumes/main/ops/kiln"), "/Volumes/main/ops/kiln");
        assert_eq!(source("/Volumes/main/ops/kiln//"), "/Volumes/main/ops/kiln");
        assert_eq!(source("/Workspace/Shared/it's \"kiln\" $HOME"), "/Workspace/Shared/it's \"kiln\" $HOME");
    }

    #[test]
    fn a_relative_directory_is_refused() {
        assert!(refusal("bundle").contains("`bundle` is relative"));
        assert!(refusal("./a:b").contains("is relative"));
        assert!(refusal("").contains("is relative"));
        assert!(refusal("//").contains("root directory"));
        assert!(refusal("/Volumes/../etc").contains("`..`"));
        assert!(refusal("/Volumes/a\nrm -rf").contains("control character"));
        assert_eq!(source(&format!("/{}", "a".repeat(4095))).len(), 4096);
        assert!(refusal(&format!("/{}", "a".repeat(4096))).contains("longer than 4096"));
    }

    #[test]
    fn an_https_prefix_is_taken_without_its_last_slash() {
        assert_eq!(source("https://artifacts.example.com/kiln/0.1/"), "https://artifacts.example.com/kiln/0.1");
        assert_eq!(source("HTTPS://artifacts.example.com"), "https://artifacts.example.com");
    }

    #[test]
    fn a_prefix_that_is_not_https_is_refused_with_the_remedy() {
        assert!(refusal("http://artifacts.example.com/kiln").contains("use https"));
        assert!(refusal("ftp://example.com/kiln").contains("`ftp://`"));
        assert!(refusal("wasbs://c@a.blob.core.windows.net/kiln").contains("abfss://"));
        assert!(refusal("dbfs:/databricks/init").contains("Unity Catalog volume"));
        assert_eq!(refusal("dbfs:/Volumes/a/b/c"), "on a cluster a volume is a directory: write /Volumes/a/b/c");
        assert!(refusal("https://").contains("is no URL"));
    }

    #[test]
    fn a_prefix_in_an_object_store_is_taken_as_it_is() {
        for text in ["s3://bucket.with-dots/a/b", "gs://bucket_1", "abfss://c-1@acc.dfs.core.windows.net/kiln"] {
            assert_eq!(source(text), text);
            assert_eq!(source(&format!("{text}/")), text);
        }
        for text in [
            "s3://",
            "s3:///kiln",
            "s3:bucket",
            "s3://bucket//kiln",
            "s3://bucket/../other",
            "s3://bucket/a b",
            "s3://bucket/a?x",
            "s3://user:pass@bucket/a",
            "gs://-x/a",
            "abfss://account.dfs.core.windows.net/kiln",
            "abfss://c@a.blob.core.windows.net/kiln",
            "abfss://c@a.b.dfs.core.windows.net/kiln",
            "abfss://c@a.dfs./kiln",
        ] {
            assert!(refusal(text).contains("write it as in"), "{text}");
        }
    }

    #[test]
    fn a_credential_never_reaches_the_script_or_the_error() {
        for text in ["https://user:s3cret@example.com/kiln", "https://example.com/kiln?sig=s3cret"] {
            let refusal = refusal(text);
            assert!(refusal.contains("no credential"), "{refusal}");
            assert!(!refusal.contains("s3cret"), "{refusal}");
        }
        assert!(refusal("https://example.com/kiln#top").contains("fragment"));
    }

    proptest! {
        /// Guarantees: whatever is accepted is accepted again, unchanged, and names a file when one is appended.
        #[test]
        fn what_is_accepted_is_a_fixed_point(text in "(/|https://a|s3://b/|abfss://c@a.dfs.x/|[a-z]{0,6}:?)[ -~/]{0,40}") {
            if let Ok(source) = Source::parse(&text) {
                prop_assert!(!source.as_str().ends_with('/'));
                prop_assert!(!source.as_str().chars().any(char::is_control));
                prop_assert_eq!(Source::parse(source.as_str()), Ok(source));
            }
        }
    }
}
