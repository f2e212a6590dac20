//! Where a connection may go, whatever a name server says.

use std::net::Ipv4Addr;

use super::get;
use super::server::{Answer, Server, ok};
use super::world::{World, policy, reaching};
use crate::{Credentials, Egress, EgressLimits, Error};

#[tokio::test]
async fn a_name_reaches_this_machine_only_where_loopback_is_granted() {
    let server = Server::saying("inside").await;
    let origin = format!("http://plugin.example:{}", server.port);

    let world = World::new().resolving(&["127.0.0.1"]);
    let granted = world.egress(reaching(&origin, &["loopback"]));
    assert_eq!(&granted.send(get(format!("{origin}/x"))).await.unwrap().body[..], b"inside");
    assert_eq!(world.looked_up(), ["plugin.example"]);
    server.received(|received| assert_eq!(received[0].header("host"), [format!("plugin.example:{}", server.port)]));

    for addresses in [&["127.0.0.1"][..], &["::1"], &["::ffff:127.0.0.1"], &["127.8.8.8", "::1"]] {
        let world = World::new().resolving(addresses);
        let error = world.egress(reaching(&origin, &["public", "private"])).send(get(format!("{origin}/x"))).await;
        let Err(Error::Denied(text)) = error else { panic!("{addresses:?}: {error:?}") };
        assert!(text.starts_with(&origin) && text.ends_with("needs `addresses: [loopback]` in the grant"), "{text}");
        assert_eq!(world.denied("address"), 1);
        assert!(world.waits().is_empty());
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn metadata_services_are_out_of_reach_of_every_grant() {
    let origin = "http://plugin.example";
    for address in ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254", "0.0.0.0", "::"]
    {
        let world = World::new().resolving(&[address]);
        let egress = world.egress(reaching(origin, &["public", "private", "loopback", "0.0.0.0/0", "::/0"]));
        let error = egress.send(get("http://plugin.example/latest/meta-data")).await;
        assert!(matches!(&error, Err(Error::Denied(text)) if text.ends_with("which no plugin may reach")), "{error:?}");
    }
}

#[tokio::test]
async fn a_mapped_address_is_dialled_as_what_it_maps() {
    let server = Server::saying("").await;
    let origin = format!("http://plugin.example:{}", server.port);
    let world = World::new().resolving(&["::ffff:127.0.0.1"]);
    assert!(world.egress(reaching(&origin, &["loopback"])).send(get(format!("{origin}/"))).await.is_ok());
    assert_eq!(server.connections(), 1);
}

// Other systems have one loopback address unless configured.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_name_that_changes_its_address_is_judged_at_every_connection() {
    // `Last`: each request needs a new connection, as it would after the attacker's time to live of zero.
    let server = Server::start_on(Ipv4Addr::UNSPECIFIED, |_, _| {
        Answer::Last(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_vec())
    })
    .await;
    let origin = format!("http://plugin.example:{}", server.port);
    let world = World::new().resolving(&["127.0.0.2"]).resolving(&["127.0.0.1"]).resolving(&["127.0.0.2"]);
    let egress = world.egress(reaching(&origin, &["127.0.0.2/32"]));
    assert!(egress.send(get(format!("{origin}/first"))).await.is_ok());
    assert!(matches!(egress.send(get(format!("{origin}/second"))).await, Err(Error::Denied(_))));
    assert!(egress.send(get(format!("{origin}/third"))).await.is_ok());
    assert_eq!(server.lines(), ["GET /first", "GET /third"]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn of_several_addresses_only_the_permitted_are_dialled() {
    let server = Server::start_on(Ipv4Addr::UNSPECIFIED, |_, _| Answer::Bytes(ok(""))).await;
    let origin = format!("http://plugin.example:{}", server.port);
    let world = World::new().resolving(&["127.0.0.1", "127.0.0.3", "127.0.0.2", "::1"]);
    let egress = world.egress(reaching(&origin, &["127.0.0.2/32"]));
    assert!(egress.send(get(format!("{origin}/"))).await.is_ok());
    server.received(|received| assert_eq!(received[0].dialled, Ipv4Addr::new(127, 0, 0, 2)));
    assert_eq!(server.connections(), 1);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_repetition_does_not_escape_the_check() {
    // Nobody listens on 127.0.0.2, so the first try fails to connect, and the second resolves the name anew.
    let server = Server::saying("inside").await;
    let origin = format!("http://plugin.example:{}", server.port);
    let world = World::new().resolving(&["127.0.0.2"]).resolving(&["127.0.0.1"]);
    let egress = world.egress(reaching(&origin, &["127.0.0.2/32"]));
    assert!(matches!(egress.send(get(format!("{origin}/"))).await, Err(Error::Denied(_))));
    assert_eq!((world.looked_up().len(), world.waits().len(), server.connections()), (2, 1, 0));
}

#[tokio::test]
async fn an_address_in_the_url_is_held_against_the_rule_that_covers_the_path() {
    let server = Server::saying("").await;
    let origin = server.url("");
    let requests = format!(
        "[[requests.http]]\norigin = '{origin}'\nmethods = ['GET']\npaths = ['/open/*', '/shut/*']\nreason = 'a test'\n"
    );
    let grants = serde_json::json!([
        { "origin": origin, "addresses": ["loopback"], "paths": ["/open/*"] },
        { "origin": origin, "addresses": ["public"], "paths": ["/shut/*"] },
    ]);
    let world = World::new();
    let egress = world.egress(policy(&requests, grants));
    assert!(egress.send(get(server.url("/open/x"))).await.is_ok());
    assert!(matches!(egress.send(get(server.url("/shut/x"))).await, Err(Error::Denied(_))));
    assert_eq!(server.lines(), ["GET /open/x"]);
    assert!(world.looked_up().is_empty());
}

#[tokio::test]
async fn a_connection_of_one_rule_is_not_used_by_another() {
    let server = Server::saying("").await;
    let origin = format!("http://plugin.example:{}", server.port);
    let requests = format!(
        "[[requests.http]]\norigin = '{origin}'\nmethods = ['GET']\npaths = ['/open/*', '/shut/*']\nreason = 'a test'\n"
    );
    let grants = serde_json::json!([
        { "origin": origin, "addresses": ["loopback"], "paths": ["/open/*"] },
        { "origin": origin, "paths": ["/shut/*"] },
    ]);
    let world = World::new().resolving(&["127.0.0.1"]).resolving(&["127.0.0.1"]);
    let egress = world.egress(policy(&requests, grants));
    assert!(egress.send(get(format!("{origin}/open/x"))).await.is_ok());
    assert!(matches!(egress.send(get(format!("{origin}/shut/x"))).await, Err(Error::Denied(_))));
    assert_eq!(server.lines(), ["GET /open/x"]);
}

#[tokio::test]
async fn localhost_is_found_by_the_platform_and_still_judged() {
    let server = Server::saying("").await;
    let origin = format!("http://localhost:{}", server.port);
    let policy = reaching(&origin, &["loopback"]);
    let spec = World::new().spec(policy, &Credentials::default(), EgressLimits::default());
    let egress = Egress::new(spec).unwrap();
    assert!(egress.send(get(format!("{origin}/x"))).await.is_ok());

    let world = World::new().resolving(&["10.0.0.1"]);
    let error = world.egress(reaching(&origin, &["loopback"])).send(get(format!("{origin}/x"))).await;
    assert!(matches!(error, Err(Error::Denied(_))), "{error:?}");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_name_without_addresses_is_a_failure_to_connect() {
    let world = World::new();
    let egress = world.egress(reaching("http://plugin.example", &["public"]));
    let error = egress.send(get("http://plugin.example/?k=s3cret")).await;
    assert_eq!(error, Err(Error::Connect("http://plugin.example: no such name".into())));
    assert_eq!(world.looked_up().len(), 3);

    let world = World::new().resolving(&[]).resolving(&[]).resolving(&[]);
    let egress = world.egress(reaching("http://plugin.example", &["public"]));
    let error = egress.send(get("http://plugin.example/")).await;
    assert_eq!(error, Err(Error::Connect("http://plugin.example: the name has no addresses".into())));
}
