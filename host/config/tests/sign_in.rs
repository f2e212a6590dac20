//! From what an operator writes to how the host signs in, with the manifest of a real plugin.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::path::Path;

use kiln_config::Config;
use kiln_policy::{Grants, Manifest, Policy};

const MANIFEST: &str = include_str!("../../../plugins/databricks/plugin.toml");

/// How the host signs in with these keys, and what the plugin sees of them.
fn sign_in(keys: &str) -> Result<(String, String), String> {
    let text = format!(
        "receivers:\n  databricks:\n    host: https://a.example\n{keys}\nexporters: {{ debug: }}\n\
         service: {{ pipelines: {{ metrics: {{ receivers: [databricks], exporters: [debug] }} }} }}\n"
    );
    let config = Config::parse("kiln.yaml", &text, Path::new("/nowhere"), &|_| None).map_err(|it| it.to_string())?;
    let manifest = Manifest::parse(MANIFEST).unwrap();
    let settings = config.instances[0].body.settings(&manifest.config).map_err(|errors| errors.to_string())?;
    let policy = Policy::resolve(&manifest, &Grants::default(), false, |field| settings.setting(field))
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    let credential = policy.http_rules()[0].credential.as_ref();
    Ok((credential.map(ToString::to_string).unwrap_or_default(), settings.public.to_string()))
}

#[test]
fn each_way_to_sign_in_is_chosen_by_its_keys_and_shows_no_secret_to_the_plugin() {
    let ways = [
        ("", ""),
        ("    token: s3cret", "the bearer token in `token`"),
        ("    token_file: /run/s3cret", "the bearer token in the file `token_file`"),
        (
            "    client_id: me\n    client_secret: s3cret",
            "an OAuth 2.0 token for `client_id` and `client_secret`, which are sent to the endpoint named by \
             https://a.example/oidc/.well-known/oauth-authorization-server",
        ),
        (
            "    azure_authority: https://login.microsoftonline.com\n    azure_tenant_id: 0-1\n    azure_client_id: me\n    \
             azure_client_secret: s3cret",
            "an OAuth 2.0 token for `azure_client_id` and `azure_client_secret`, which are sent to \
             https://login.microsoftonline.com/0-1/oauth2/v2.0/token",
        ),
    ];
    for (keys, expected) in ways {
        let (how, public) = sign_in(keys).unwrap();
        assert_eq!(how, expected);
        assert!(!public.contains("s3cret"), "{public}");
        assert_eq!(public.contains("client_id\":\"me\""), keys.contains("client_id"), "{public}");
    }
}

#[test]
fn half_a_way_and_two_ways_are_errors() {
    for (keys, problem) in [
        ("    client_id: me", "`client_id` is set and `client_secret` is not"),
        ("    azure_client_id: me\n    azure_client_secret: s3cret", "`azure_tenant_id` is not"),
        ("    token: s3cret\n    token_file: /x", "are two ways to sign in"),
        ("    token: s3cret\n    client_secret: s3cret", "`client_id` is not"),
    ] {
        let error = sign_in(keys).unwrap_err();
        assert!(error.contains(problem) && !error.contains("s3cret"), "{error}");
    }
}
