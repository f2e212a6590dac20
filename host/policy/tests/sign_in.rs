//! Which way to sign in follows from what is configured, and where a secret may be sent for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use kiln_policy::{ConfigLine, Credential, Grants, Manifest, Policy, Setting};
use serde_json::{Value, json};

const HEAD: &str = "name = 'example'\nversion = '1.0.0'\nkind = 'receiver'\ndescription = 'An example'\n\
                    license = 'Apache-2.0'\nwit = '0.1'\n";

const FOUR_WAYS: &str = r#"
[[requests.http]]
origin = "${config.host}"
methods = ["GET"]
paths = ["/api/*"]
credential = "workspace"
reason = "reads jobs"

[[credentials.workspace]]
type = "bearer"
token = "${config.token}"

[[credentials.workspace]]
type = "bearer"
token_file = "${config.token_file}"

[[credentials.workspace]]
type = "oauth2_client_credentials"
client_id = "${config.client_id}"
client_secret = "${config.client_secret}"
discovery = "/oidc/.well-known/oauth-authorization-server"
scopes = ["all-apis"]

[[credentials.workspace]]
type = "oauth2_client_credentials"
client_id = "${config.azure_client_id}"
client_secret = "${config.azure_client_secret}"
token_url = "${config.azure_authority}/${config.azure_tenant_id}/oauth2/v2.0/token"
client_authentication = "post"
scopes = ["id/.default"]
"#;

const HOST: &str = "https://a.example.com";
const SECRETS: [&str; 4] = ["token", "token_file", "client_secret", "azure_client_secret"];

fn manifest(rest: &str) -> Manifest {
    Manifest::parse(&format!("{HEAD}{rest}")).unwrap()
}

/// A host that is set to what the manifest of the tests asks for: `(field, value)`.
struct Case<'a> {
    manifest: &'a str,
    settings: &'a [(&'a str, &'a str)],
    grants: Value,
    explicit: bool,
}

impl Default for Case<'_> {
    fn default() -> Self {
        Self { manifest: FOUR_WAYS, settings: &[], grants: json!([]), explicit: false }
    }
}

impl Case<'_> {
    fn resolve(&self) -> Result<Policy, String> {
        let setting = |path: &str| {
            let found = self.settings.iter().find(|(field, _)| *field == path).map(|(_, text)| *text);
            match path {
                "host" => Some(Setting::text(found.unwrap_or(HOST))),
                "azure_authority" => Some(Setting {
                    has_default: true,
                    written: found.map(|_| ConfigLine {
                        file: "kiln.yaml".into(),
                        line: 7,
                        column: 5,
                        key: "receivers.p.azure_authority".to_owned(),
                    }),
                    ..Setting::text(found.unwrap_or("https://login.microsoftonline.com"))
                }),
                _ if SECRETS.contains(&path) => found.map(|_| Setting::secret()),
                _ => found.map(Setting::text),
            }
        };
        let grants: Grants = serde_json::from_value(json!({ "http": self.grants })).unwrap();
        Policy::resolve(&manifest(self.manifest), &grants, self.explicit, setting)
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    fn credential(&self) -> Result<Option<Credential>, String> {
        self.resolve().map(|policy| policy.http_rules().first().unwrap().credential.clone())
    }

    fn described(&self) -> Result<String, String> {
        self.credential().map(|credential| credential.map(|it| it.to_string()).unwrap_or_default())
    }
}

fn configured(settings: &[(&str, &str)]) -> Result<String, String> {
    Case { settings, ..Case::default() }.described()
}

const AUTHORITY: (&str, &str) = ("azure_authority", "https://login.microsoftonline.com");
const AZURE: [(&str, &str); 3] =
    [("azure_client_id", "me"), ("azure_client_secret", "s3cret"), ("azure_tenant_id", "tenant-1")];

#[test]
fn the_alternative_that_is_configured_is_the_one_that_is_used() {
    assert_eq!(configured(&[]).unwrap(), "");
    assert_eq!(configured(&[("token", "x")]).unwrap(), "the bearer token in `token`");
    assert_eq!(configured(&[("token_file", "/x")]).unwrap(), "the bearer token in the file `token_file`");
    assert_eq!(
        configured(&[("client_id", "me"), ("client_secret", "x")]).unwrap(),
        "an OAuth 2.0 token for `client_id` and `client_secret`, which are sent to the endpoint named by \
         https://a.example.com/oidc/.well-known/oauth-authorization-server"
    );
    assert_eq!(
        configured(&[AZURE.as_slice(), &[AUTHORITY]].concat()).unwrap(),
        "an OAuth 2.0 token for `azure_client_id` and `azure_client_secret`, which are sent to \
         https://login.microsoftonline.com/tenant-1/oauth2/v2.0/token"
    );
}

#[test]
fn half_an_alternative_is_an_error_that_names_the_other_half() {
    assert_eq!(
        configured(&[("client_id", "me")]).unwrap_err(),
        "`client_id` is set and `client_secret` is not: to sign in with `client_id`, set `client_secret` too; to sign in \
         another way, remove `client_id`"
    );
    // Also where another alternative is complete: what was meant is anybody's guess.
    let error = configured(&[("token", "x"), ("client_secret", "x")]).unwrap_err();
    assert!(error.starts_with("`client_secret` is set and `client_id` is not"), "{error}");
    let error = configured(&[("azure_client_secret", "x")]).unwrap_err();
    assert!(error.contains("`azure_client_id` and `azure_tenant_id` are not"), "{error}");
}

#[test]
fn two_alternatives_are_an_error_that_names_both() {
    assert_eq!(
        configured(&[("token", "x"), ("client_id", "me"), ("client_secret", "x")]).unwrap_err(),
        "`token` and `client_id` and `client_secret` are two ways to sign in: keep one and remove the other"
    );
    assert!(configured(&[("token", "x"), ("token_file", "x")]).is_err());
    assert!(configured(&[("token", "x")]).is_ok());
}

#[test]
fn a_field_with_a_default_chooses_nothing_by_itself() {
    let authority = ("azure_authority", "https://login.microsoftonline.us");
    assert_eq!(configured(&[authority]).unwrap(), "");
    assert_eq!(configured(&[authority, ("token", "x")]).unwrap(), "the bearer token in `token`");
    let [id, secret, tenant] = AZURE;
    let described = configured(&[authority, id, secret, tenant]).unwrap();
    assert!(described.ends_with("sent to https://login.microsoftonline.us/tenant-1/oauth2/v2.0/token"), "{described}");
}

#[test]
fn a_field_shared_with_a_complete_alternative_is_no_half() {
    let shared = r#"
[[requests.http]]
origin = "${config.host}"
methods = ["GET"]
paths = ["/api/*"]
credential = [
  { type = "oauth2_client_credentials", client_id = "${config.client_id}", client_secret = "${config.client_secret}", discovery = "/d" },
  { type = "oauth2_client_credentials", client_id = "${config.client_id}", client_secret = "${config.azure_client_secret}", discovery = "/d" },
]
reason = "reads jobs"
"#;
    let case = |settings| Case { manifest: shared, settings, ..Case::default() }.described();
    assert!(case(&[("client_id", "me"), ("client_secret", "x")]).unwrap().contains("`client_secret`"));
    assert!(case(&[("client_id", "me"), ("azure_client_secret", "x")]).unwrap().contains("`azure_client_secret`"));
    assert!(case(&[("client_id", "me")]).is_err());
}

#[test]
fn one_sentence_is_enough_for_requests_that_share_a_credential() {
    let twice = format!(
        "{FOUR_WAYS}\n[[requests.http]]\norigin = \"${{config.host}}\"\nmethods = [\"GET\"]\npaths = [\"/x\"]\n\
         credential = \"workspace\"\nreason = \"reads more\"\n"
    );
    let case = |settings| Case { manifest: &twice, settings, ..Case::default() };
    assert_eq!(case(&[("client_id", "me")]).resolve().unwrap_err().matches("is set and").count(), 1);
    let settings = [AZURE.as_slice(), &[AUTHORITY]].concat();
    let policy = case(&settings).resolve().unwrap();
    let [first, second] = policy.http_rules() else { panic!("{policy:?}") };
    assert_eq!(first.credential, second.credential);
}

#[test]
fn a_secret_the_plugin_would_see_is_not_used() {
    let visible = FOUR_WAYS.replace("${config.token}", "${config.visible}");
    let case = |settings| Case { manifest: &visible, settings, ..Case::default() }.described();
    let error = case(&[("visible", "x")]).unwrap_err();
    assert!(error.starts_with("signs in with `visible`, which its schema does not mark `writeOnly`"), "{error}");
    // The identity is no secret, and may be one.
    assert!(case(&[("client_id", "x"), ("client_secret", "x")]).is_ok());
}

#[test]
fn a_token_endpoint_the_operator_typed_is_granted_with_public_addresses_over_https() {
    let endpoint = |authority| -> Result<_, String> {
        let settings = [AZURE.as_slice(), &[("azure_authority", authority)]].concat();
        match (Case { settings: &settings, ..Case::default() }).credential()? {
            Some(Credential::ClientCredentials(credentials)) => Ok(credentials.endpoint),
            other => panic!("{other:?}"),
        }
    };
    let granted = endpoint("https://id.example.com").unwrap();
    assert_eq!((granted.addresses.to_string(), granted.is_metadata), ("[public]".to_owned(), false));
    assert_eq!(granted.source.to_string(), "configuration field `azure_authority`");

    let error = endpoint("http://id.example.com").unwrap_err();
    assert!(error.starts_with("would send `azure_client_secret` unencrypted to http://id.example.com"), "{error}");
    assert!(error.ends_with("http: [ { origin: \"http://id.example.com\" } ]"), "{error}");
    let error = endpoint("https://127.0.0.1:9").unwrap_err();
    assert!(error.contains("origin: \"https://127.0.0.1:9\", addresses: [loopback] } ]"), "{error}");
    let error = endpoint("https://169.254.169.254").unwrap_err();
    assert!(error.contains("cloud metadata service, which no plugin may reach"), "{error}");
    assert!(endpoint("https://me@id.example.com").unwrap_err().contains("`azure_authority` begins a URL"));
}

/// Scenario: a manifest that sends what the operator types to an origin of its author's choosing, as a default.
/// Guarantees: nobody typed that origin, so it is refused until it is typed or granted.
#[test]
fn a_default_of_the_plugin_grants_no_token_endpoint() {
    let case = |grants| Case { settings: &AZURE, grants, ..Case::default() };
    let error = case(json!([])).resolve().unwrap_err();
    assert!(
        error.contains("requests https://login.microsoftonline.com") && error.contains("which is not granted"),
        "{error}"
    );
    assert!(case(json!([{ "origin": "https://login.microsoftonline.com" }])).resolve().is_ok());
    assert!(configured(&[AZURE.as_slice(), &[AUTHORITY]].concat()).is_ok());
}

#[test]
fn an_explicit_grant_widens_where_a_token_endpoint_may_be() {
    let settings = [AZURE.as_slice(), &[("azure_authority", "http://10.0.0.7")]].concat();
    let case = |grants| Case { settings: &settings, grants, ..Case::default() };
    assert!(case(json!([])).resolve().is_err());
    assert!(case(json!([{ "origin": "http://10.0.0.7" }])).resolve().is_err());
    let policy = case(json!([{ "origin": "http://10.0.0.7", "addresses": ["private"] }])).resolve().unwrap();
    assert!(policy.unused_grants().is_empty());
    // The plugin itself is none the wiser: it did not request that origin.
    let url = url::Url::parse("http://10.0.0.7/tenant-1/oauth2/v2.0/token").unwrap();
    assert!(policy.check(kiln_policy::Method::Get, &url).is_err());
    // Even then never:
    let settings = [AZURE.as_slice(), &[("azure_authority", "http://169.254.169.254")]].concat();
    let grants = json!([{ "origin": "http://169.254.169.254", "addresses": ["0.0.0.0/0"] }]);
    assert!(Case { settings: &settings, grants, ..Case::default() }.resolve().is_err());
}

#[test]
fn with_explicit_grants_the_token_endpoint_needs_one_too() {
    let own = json!({ "origin": HOST });
    let case = |grants| Case { settings: &AZURE, grants, explicit: true, ..Case::default() };
    let error = case(json!([own])).resolve().unwrap_err();
    assert!(
        error.contains(
            "requests https://login.microsoftonline.com (exchanges `azure_client_id` and `azure_client_secret` for a \
             token), which is not granted; to grant it, add"
        ),
        "{error}"
    );
    assert!(error.ends_with("http: [ { origin: \"https://login.microsoftonline.com\" } ]"), "{error}");
    assert!(case(json!([own, { "origin": "https://login.microsoftonline.com" }])).resolve().is_ok());

    // On the origin that is granted anyway, nothing more is needed.
    let settings = [("client_id", "me"), ("client_secret", "x")];
    assert!(Case { settings: &settings, grants: json!([own]), explicit: true, ..Case::default() }.resolve().is_ok());
}

#[test]
fn an_origin_only_the_manifest_names_needs_an_explicit_grant() {
    let literal = FOUR_WAYS.replace("${config.azure_authority}", "https://login.microsoftonline.com");
    let case = |grants| Case { manifest: &literal, settings: &AZURE, grants, ..Case::default() };
    assert!(case(json!([])).resolve().unwrap_err().contains("which is not granted"));
    assert!(case(json!([{ "origin": "https://login.microsoftonline.com" }])).resolve().is_ok());
}

#[test]
fn metadata_is_asked_for_where_the_request_goes_and_not_unencrypted() {
    let with = |host, grants| {
        let settings = [("client_id", "me"), ("client_secret", "x"), ("host", host)];
        Case { settings: &settings, grants, ..Case::default() }.credential()
    };
    assert!(with("https://a.example.com", json!([])).is_ok());
    assert!(with("http://a.example.com", json!([])).unwrap_err().contains("unencrypted"));
    assert!(with("http://a.example.com", json!([{ "origin": "http://a.example.com" }])).is_ok());
    // Several grants of one origin are one token endpoint.
    let grants = json!([
        { "origin": "http://127.0.0.1:1", "addresses": ["loopback"], "paths": ["/api/a"] },
        { "origin": "http://127.0.0.1:1", "addresses": ["private"], "paths": ["/api/b"] },
    ]);
    let Some(Credential::ClientCredentials(credentials)) = with("http://127.0.0.1:1", grants).unwrap() else {
        panic!()
    };
    assert_eq!(credentials.endpoint.addresses.to_string(), "[loopback, private]");
    // A path that looks like another host is still a path.
    let odd = FOUR_WAYS.replace("/oidc/.well-known/oauth-authorization-server", "//evil.example/x");
    let settings = [("client_id", "me"), ("client_secret", "x")];
    let described = Case { manifest: &odd, settings: &settings, ..Case::default() }.described().unwrap();
    assert!(described.ends_with("named by https://a.example.com//evil.example/x"), "{described}");
}

#[test]
fn a_credential_that_makes_no_sense_is_refused_with_the_manifest() {
    let parse = |credential: &str| {
        let request = format!(
            "{HEAD}[[requests.http]]\norigin = 'https://a.example'\nmethods = ['GET']\npaths = ['/*']\nreason = 'x'\n\
             credential = {credential}\n"
        );
        Manifest::parse(&request).map_err(|error| error.to_string())
    };
    let oauth = |rest: &str| {
        parse(&format!(
            "[{{ type = 'oauth2_client_credentials', client_id = '${{config.a}}', client_secret = '${{config.b}}', {rest} }}]"
        ))
    };
    for good in ["'${config.token}'", "[{ type = 'bearer', token = '${config.a.b}' }]"] {
        assert!(parse(good).is_ok(), "{good}");
    }
    for (bad, why) in [
        ("'nowhere'", "credential `nowhere` is not there: add [[credentials.nowhere]]"),
        ("'${env.token}'", "does not name a configuration field"),
        ("[]", "lists no way to sign in"),
        ("7", "a list of alternatives"),
        ("[{ type = 'bearer' }]", "either `token` or `token_file`"),
        ("[{ type = 'bearer', token = '${config.a}', token_file = '${config.b}' }]", "either `token` or `token_file`"),
        ("[{ type = 'bearer', tokn = '${config.a}' }]", "tokn"),
        ("[{ type = 'digest', token = '${config.a}' }]", "digest"),
        ("[{ type = 'bearer', token = 'dapi123' }]", "does not name a configuration field"),
    ] {
        let error = parse(bad).unwrap_err();
        assert!(error.contains(why), "{bad}: {error}");
    }
    for good in ["discovery = '/x'", "token_url = '${config.u}/x', client_authentication = 'basic', scopes = ['a:b']"] {
        assert!(oauth(good).is_ok(), "{good}");
    }
    for (bad, why) in [
        ("scopes = []", "either `discovery` or `token_url`"),
        ("discovery = '/x', token_url = 'https://a.example'", "either `discovery` or `token_url`"),
        ("discovery = 'x'", "which is no path"),
        ("discovery = 'https://evil.example/x'", "which is no path"),
        ("discovery = '/${config.x}'", "which is no path"),
        ("discovery = '/x?y'", "which is no path"),
        ("token_url = 'https://${config.x}/'", "is no URL with fields in it"),
        ("discovery = '/x', scopes = ['a b']", "is no scope"),
        ("discovery = '/x', scopes = ['']", "is no scope"),
        ("discovery = '/x', client_authentication = 'tls'", "tls"),
    ] {
        let error = oauth(bad).unwrap_err();
        assert!(error.contains(why), "{bad}: {error}");
    }
}

#[test]
fn a_manifest_with_credentials_is_written_as_it_was_read() {
    let manifest = manifest(&FOUR_WAYS.replace("\"workspace\"", "\"${config.token}\""));
    let written = serde_json::to_value(&manifest).unwrap();
    assert_eq!(written["requests"]["http"][0]["credential"], "${config.token}");
    assert_eq!(
        written["credentials"]["workspace"][1],
        json!({ "type": "bearer", "token_file": "${config.token_file}" })
    );
    assert_eq!(
        written["credentials"]["workspace"][3]["token_url"],
        "${config.azure_authority}/${config.azure_tenant_id}/oauth2/v2.0/token"
    );
    let again: Manifest = serde_json::from_value(written).unwrap();
    assert_eq!(again.credentials, manifest.credentials);
}
