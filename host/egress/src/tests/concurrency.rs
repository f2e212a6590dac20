//! How many requests are under way, in what order their answers are handed back, and how they end early.

use std::num::NonZeroU16;
use std::sync::Arc;

use super::get;
use super::server::{Answer, Server, ok};
use super::world::{World, loopback};
use crate::{EgressLimits, Error, Request};

fn limits(concurrency: u16) -> EgressLimits {
    EgressLimits { concurrency: NonZeroU16::new(concurrency).unwrap(), ..EgressLimits::default() }
}

fn numbered(server: &Server, count: usize) -> Vec<Request> {
    (0..count).map(|number| get(server.url(&format!("/{number}")))).collect()
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_allowed() {
    const REQUESTS: usize = 10;
    let server = Server::start(|_, _| Answer::Held(ok(""))).await;
    let egress = Arc::new(World::new().limited(loopback(server.port), limits(3)));
    // Two calls at the same time share the limit: it is the instance's.
    let calls: Vec<_> = (0..2)
        .map(|_| {
            let (egress, requests) = (Arc::clone(&egress), numbered(&server, REQUESTS / 2));
            tokio::spawn(async move { egress.send_all(requests).await })
        })
        .collect();
    for left in (1..=REQUESTS).rev() {
        server.until_under_way(left.min(3)).await;
        server.release();
        server.until_answered(REQUESTS + 1 - left).await;
    }
    for call in calls {
        assert!(call.await.unwrap().iter().all(Result::is_ok));
    }
    assert_eq!(server.most_under_way(), 3);
}

#[tokio::test]
async fn answers_come_in_the_order_of_the_requests() {
    const REQUESTS: usize = 8;
    // The last request is answered first.
    let server = Server::start(|_, request| {
        let number: usize = request.line()[5..].parse().unwrap();
        Answer::After(REQUESTS - 1 - number, ok(number.to_string()))
    })
    .await;
    let egress = World::new().limited(loopback(server.port), limits(8));
    let answers = egress.send_all(numbered(&server, REQUESTS)).await;
    let bodies: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().body).collect();
    assert_eq!(bodies, ["0", "1", "2", "3", "4", "5", "6", "7"]);
}

#[tokio::test]
async fn a_refused_request_keeps_its_place_among_the_answers() {
    let server = Server::saying("fine").await;
    let egress = World::new().egress(loopback(server.port));
    let requests =
        vec![get(server.url("/a")), get("http://not-granted.example/"), get("nonsense"), get(server.url("/b"))];
    let answers = egress.send_all(requests).await;
    assert!(matches!(&answers[..], [Ok(_), Err(Error::Denied(_)), Err(Error::InvalidRequest(_)), Ok(_)]));
    assert!(egress.send_all(Vec::new()).await.is_empty());
}

#[tokio::test]
async fn one_slow_answer_does_not_hold_up_the_others() {
    // Answered only after all others, of which only one can be under way besides it.
    let server = Server::start(|_, request| match request.line() {
        "GET /0" => Answer::After(9, ok("slow")),
        _ => Answer::Bytes(ok("fast")),
    })
    .await;
    let egress = World::new().limited(loopback(server.port), limits(2));
    let answers = egress.send_all(numbered(&server, 10)).await;
    assert_eq!(&answers[0].as_ref().unwrap().body[..], b"slow");
    assert!(answers.iter().all(Result::is_ok));
}

#[tokio::test]
async fn closing_ends_what_is_under_way_what_waits_and_what_comes() {
    let server = Server::start(|_, _| Answer::Stall(Vec::new())).await;
    let world = World::new();
    let egress = Arc::new(world.limited(loopback(server.port), limits(1)));
    let call = tokio::spawn({
        let (egress, requests) = (Arc::clone(&egress), numbered(&server, 3));
        async move { egress.send_all(requests).await }
    });
    server.until_under_way(1).await;
    egress.close();
    assert!(call.await.unwrap().iter().all(|answer| *answer == Err(Error::Cancelled)));
    assert_eq!(egress.send(get(server.url("/"))).await, Err(Error::Cancelled));
    server.until_gone(1).await;
    assert_eq!(world.metric("kiln_egress_requests_total", ",outcome=\"cancelled\""), 4);
}

#[tokio::test]
async fn a_caller_that_goes_away_frees_the_place_and_leaves_a_trace() {
    let server = Server::start(|number, _| if number == 0 { Answer::Stall(Vec::new()) } else { Answer::Bytes(ok("")) });
    let server = server.await;
    let world = World::new();
    let egress = world.limited(loopback(server.port), limits(1));
    tokio::select! {
        _ = egress.send(get(server.url("/abandoned"))) => panic!("nobody answers"),
        () = server.until_under_way(1) => {}
    }
    server.until_gone(1).await;
    assert!(egress.send(get(server.url("/next"))).await.is_ok());
    assert_eq!(world.metric("kiln_egress_requests_total", ",outcome=\"cancelled\""), 1);
    assert_eq!(world.metric("kiln_egress_requests_total", ",outcome=\"ok\""), 1);
}
