//! A token that somebody else keeps fresh in a file.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::get;
use super::server::{Answer, Server, ok, response};
use super::sign_in::authorizations;
use super::world::{World, everything, policy};
use crate::{Credentials, Egress, EgressLimits, Error};

fn egress(world: &World, server: &Server, path: &Path) -> Egress {
    let origin = server.url("");
    let requests =
        format!("{}credential = [{{ type = 'bearer', token_file = '${{config.file}}' }}]\n", everything(&origin));
    let mut credentials = Credentials::default();
    credentials.insert("file", path.to_str().unwrap());
    let policy = policy(&requests, serde_json::json!([{ "origin": origin, "addresses": ["loopback"] }]));
    world.build(policy, &credentials, EgressLimits::default())
}

/// Writes a token with a modification time of its own, since the clock of a file system may be coarse.
fn write(path: &Path, token: &str, minute: u64) {
    fs::write(path, token).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + 60 * minute);
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[tokio::test]
async fn a_file_is_read_again_when_it_has_changed_and_not_before_a_second_has_passed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    let server = Server::saying("").await;
    let world = World::new();
    write(&path, "one\n", 0);
    let egress = egress(&world, &server, &path);
    egress.send(get(server.url("/"))).await.unwrap();
    write(&path, "two\r\n", 1);
    egress.send(get(server.url("/"))).await.unwrap();
    world.pass(1);
    egress.send(get(server.url("/"))).await.unwrap();
    world.pass(1);
    egress.send(get(server.url("/"))).await.unwrap();
    assert_eq!(authorizations(&server), ["Bearer one", "Bearer one", "Bearer two", "Bearer two"]);
    assert_eq!(world.metric("kiln_egress_token_refreshes_total", ",outcome=\"ok\""), 2);

    // A change of length is one even where the time stays.
    write(&path, "longer", 1);
    world.pass(1);
    egress.send(get(server.url("/"))).await.unwrap();
    assert_eq!(authorizations(&server).last().unwrap(), "Bearer longer");
}

#[tokio::test]
async fn a_file_without_a_token_fails_the_request_and_names_the_field() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s3cret-path");
    let server = Server::saying("").await;
    let world = World::new();
    let egress = egress(&world, &server, &path);
    let mut minute = 0;
    let mut answer = async |content: Option<&str>| {
        minute += 1;
        match content {
            Some(content) => write(&path, content, minute),
            None => fs::remove_file(&path).unwrap(),
        }
        world.pass(1);
        egress.send(get(server.url("/"))).await.map(|answer| answer.status)
    };
    assert_eq!(answer(Some("good")).await, Ok(200));
    let text = "no access token: the file that `file` names cannot be read: No such file or directory (os error 2)";
    assert_eq!(answer(None).await, Err(Error::Denied(text.to_owned())));
    for content in ["", "\n", "s3cret two", "s3cret\ns3cret", " s3cret", "s3cr\u{e9}t"] {
        let Err(Error::Denied(text)) = answer(Some(content)).await else { panic!("{content:?}") };
        assert!(text.contains("`file` names does not hold a single token") && !text.contains("s3cr"), "{text}");
    }
    assert_eq!(answer(Some(&"a".repeat(64 << 10))).await, Ok(200));
    let text = "no access token: the file that `file` names is larger than any token";
    assert_eq!(answer(Some(&"a".repeat((64 << 10) + 1))).await, Err(Error::Denied(text.to_owned())));
    assert_eq!(world.metric("kiln_egress_token_refreshes_total", ",outcome=\"unreadable\""), 8);
    assert_eq!(answer(Some("good-again")).await, Ok(200));
}

#[tokio::test]
async fn what_is_no_file_is_not_opened() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::saying("").await;
    let error = egress(&World::new(), &server, directory.path()).send(get(server.url("/"))).await;
    assert_eq!(error, Err(Error::Denied("no access token: the file that `file` names is no regular file".to_owned())));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_refused_token_is_replaced_if_the_file_holds_another() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    let server = Server::start(|_, request| {
        if request.header("authorization") == ["Bearer old"] {
            Answer::Bytes(response("401 Unauthorized", "", ""))
        } else {
            Answer::Bytes(ok(""))
        }
    })
    .await;
    write(&path, "old", 0);
    let egress = egress(&World::new(), &server, &path);
    // The file is as it was: there is nothing to try.
    assert_eq!(egress.send(get(server.url("/"))).await.unwrap().status, 401);
    assert_eq!(authorizations(&server), ["Bearer old"]);
    // Of the same length, at the same time, within the second: found all the same.
    write(&path, "new", 0);
    assert_eq!(egress.send(get(server.url("/"))).await.unwrap().status, 200);
    assert_eq!(authorizations(&server), ["Bearer old", "Bearer old", "Bearer new"]);
}
