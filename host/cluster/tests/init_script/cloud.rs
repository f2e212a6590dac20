//! Sources that ask who reads: object stores, and artifact stores behind a token.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::support::Driver;
use crate::support::web::{Reply, Request, Server};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "s3cret \\ \"token\" '";

fn refused(status: &'static str) -> Reply {
    Reply { status, headers: String::new(), body: Vec::new() }
}

/// Serves the files of `source` below `prefix` to whoever is let in.
fn store(
    driver: &Driver,
    host: &str,
    prefix: &'static str,
    lets_in: impl Fn(&Request) -> bool + Send + 'static,
) -> Server {
    let source: PathBuf = driver.path("source");
    let (server, certificate) = Server::start_tls(host, move |request| {
        let Some(name) = request.path.strip_prefix(prefix) else { return refused("404 Not Found") };
        if !lets_in(request) {
            return refused("403 Forbidden");
        }
        match fs::read(source.join(name)) {
            Ok(bytes) => Reply::ok("application/octet-stream", bytes),
            Err(_) => refused("404 Not Found"),
        }
    });
    driver.let_reach(&format!("{host}:443"), &server.address.to_string());
    fs::write(driver.path("ca.pem"), certificate).unwrap();
    server
}

/// What S3 checks: that the signature is of this request, by who has the secret.
fn is_signed(request: &Request, id: &str, secret: &str, token: Option<&str>) -> bool {
    let (Some(authorization), Some(time)) = (request.header("authorization"), request.header("x-amz-date")) else {
        return false;
    };
    let day = &time[..8];
    let scope = format!("{day}/eu-west-1/s3/aws4_request");
    let mut headers = BTreeMap::from([
        ("host", request.header("host").unwrap()),
        ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        ("x-amz-date", time),
    ]);
    headers.extend(token.map(|token| ("x-amz-security-token", token)));
    if headers.iter().any(|(name, value)| request.header(name) != Some(value)) {
        return false;
    }
    let names = headers.keys().copied().collect::<Vec<_>>().join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let canonical = format!("GET\n{}\n\n{lines}\n{names}\nUNSIGNED-PAYLOAD", request.path);
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [day, "eu-west-1", "s3", "aws4_request"] {
        key = hmac(&key, part);
    }
    let signature = hex(&hmac(&key, &to_sign));
    authorization == format!("AWS4-HMAC-SHA256 Credential={id}/{scope},SignedHeaders={names},Signature={signature}")
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Installs from `source`, and looks that no secret was anywhere to be seen.
fn installs(driver: &mut Driver, source: &str) {
    driver.set_source(source);
    driver.run().succeeded();
    let start = driver.await_start(1);
    assert_eq!(start.environment.get("KILN_SOURCE_TOKEN"), None);
    driver.stop();
    for secret in [SECRET, TOKEN, "s3cret", "temporary-token"] {
        assert!(!driver.command_lines().contains(secret), "{}", driver.command_lines());
        assert!(!driver.log().contains(secret), "{}", driver.log());
        assert!(!driver.rendered().contains(secret));
    }
}

/// Scenario: the bundle is in a bucket of S3; the keys are in the cluster's environment, then wrong.
/// Guarantees: requests are signed as S3 asks, and Kiln is installed; with wrong keys it is not, and the log says where
/// it could not read.
#[test]
fn s3_with_keys_of_the_environment() {
    let mut driver = Driver::new();
    let host = "s3.eu-west-1.amazonaws.com";
    let _store = store(&driver, host, "/bucket.x/ops/kiln/", |it| is_signed(it, "AKIDEXAMPLE", SECRET, None));
    driver.set("AWS_ACCESS_KEY_ID", Some("AKIDEXAMPLE"));
    driver.set("AWS_SECRET_ACCESS_KEY", Some(SECRET));
    driver.set("AWS_REGION", Some("eu-west-1"));
    installs(&mut driver, "s3://bucket.x/ops/kiln");

    driver.set("AWS_SECRET_ACCESS_KEY", Some("another"));
    driver.run().succeeded();
    driver.await_log("cannot read s3://bucket.x/ops/kiln/kiln");
    driver.stop();
    assert_eq!(driver.starts().len(), 1);
}

/// Scenario: the cluster has an instance profile, and nothing in its environment.
/// Guarantees: its temporary keys, their token and the region are asked for on this machine, and used.
#[test]
fn s3_with_an_instance_profile() {
    let mut driver = Driver::new();
    let token = Some("temporary-token");
    let _store =
        store(&driver, "s3.eu-west-1.amazonaws.com", "/bucket/kiln/", move |it| is_signed(it, "ASIAX", SECRET, token));
    let metadata = Server::start_plain(|request| {
        let text = |text: &str| Reply::ok("text/plain", text);
        if request.text.starts_with("PUT /latest/api/token ") {
            return text("pass");
        }
        if request.header("x-aws-ec2-metadata-token") != Some("pass") {
            return refused("401 Unauthorized");
        }
        match request.path.as_str() {
            "/latest/meta-data/placement/region" => text("eu-west-1"),
            "/latest/meta-data/iam/security-credentials/" => text("my-role"),
            "/latest/meta-data/iam/security-credentials/my-role" => text(&format!(
                "{{\n  \"Code\" : \"Success\",\n  \"AccessKeyId\" : \"ASIAX\",\n  \"SecretAccessKey\" : \"{SECRET}\",\n  \
                 \"Token\" : \"temporary-token\"\n}}"
            )),
            _ => refused("404 Not Found"),
        }
    });
    driver.let_reach("169.254.169.254:80", &metadata.address.to_string());
    installs(&mut driver, "s3://bucket/kiln");
}

/// Scenario: the bundle is in Google Cloud Storage, and the cluster has a service account.
/// Guarantees: its token is asked for on this machine, and sent.
#[test]
fn gs_with_a_service_account() {
    let mut driver = Driver::new();
    let lets_in = |request: &Request| request.header("authorization") == Some("Bearer s3cret");
    let _store = store(&driver, "storage.googleapis.com", "/bucket/ops/", lets_in);
    let metadata = Server::start_plain(|request| {
        let path = "/computeMetadata/v1/instance/service-accounts/default/token";
        if request.path != path || request.header("metadata-flavor") != Some("Google") {
            return refused("403 Forbidden");
        }
        Reply::ok("application/json", r#"{"access_token":"s3cret","expires_in":3599,"token_type":"Bearer"}"#)
    });
    driver.let_reach("metadata.google.internal:80", &metadata.address.to_string());
    installs(&mut driver, "gs://bucket/ops");
}

/// Scenario: the bundle is in Azure Data Lake Storage; a service principal is in the environment, whose secret has
/// characters of every kind.
/// Guarantees: a token is asked for in its name, and sent to the account's blob service.
#[test]
fn abfss_with_a_service_principal() {
    let mut driver = Driver::new();
    let lets_in = |request: &Request| {
        request.header("authorization") == Some("Bearer s3cret") && request.header("x-ms-version").is_some()
    };
    let _store = store(&driver, "account.blob.core.windows.net", "/container/ops/kiln/", lets_in);
    let store_trust = fs::read_to_string(driver.path("ca.pem")).unwrap();
    let (login, login_trust) = Server::start_tls("login.microsoftonline.com", |request| {
        let wanted = "grant_type=client_credentials&scope=https%3A%2F%2Fstorage.azure.com%2F.default&client_id=app&\
                      client_secret=s3cret+%5C+%22token%22+%27";
        // Versions of curl differ in how they write a space.
        if request.path != "/tenant-1/oauth2/v2.0/token" || !request.text.replace("%20", "+").ends_with(wanted) {
            return refused("400 Bad Request");
        }
        Reply::ok("application/json", r#"{"token_type":"Bearer", "access_token": "s3cret"}"#)
    });
    fs::write(driver.path("ca.pem"), store_trust + &login_trust).unwrap();
    driver.let_reach("login.microsoftonline.com:443", &login.address.to_string());
    driver.set("AZURE_TENANT_ID", Some("tenant-1"));
    driver.set("AZURE_CLIENT_ID", Some("app"));
    driver.set("AZURE_CLIENT_SECRET", Some(TOKEN));
    installs(&mut driver, "abfss://container@account.dfs.core.windows.net/ops/kiln");
}

/// Scenario: an artifact store wants a token, which has characters of every kind; then one wrong byte is served.
/// Guarantees: it is sent as it is; what comes is pinned all the same.
#[test]
fn https_with_a_token() {
    let mut driver = Driver::new();
    let lets_in = |request: &Request| request.header("authorization") == Some(&format!("Bearer {TOKEN}"));
    let _store = store(&driver, "artifacts.example.com", "/kiln/", lets_in);
    driver.set("KILN_SOURCE_TOKEN", Some(TOKEN));
    installs(&mut driver, "https://artifacts.example.com/kiln");
    fs::write(driver.path("source/plugins/spark.wasm"), "b plugin").unwrap();
    driver.run().succeeded();
    driver.await_log("refused https://artifacts.example.com/kiln/plugins/spark.wasm: its sha256 should be");
    driver.await_nothing_left();
}
