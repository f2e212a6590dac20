//! Servers whose address the host finds by itself.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::get;
use super::server::{Answer, Server, ok, response};
use super::world::{World, reaching};
use crate::{Discovery, Error, FoundAnswer, Response};

const NAME: &str = "http://spark-ui.internal";

fn known(question: &str, answer: &FoundAnswer) -> bool {
    question == "/who" && answer.status == 200 && answer.body == b"it is me"
}

/// Looks at these addresses, which can change.
fn looking_at(candidates: &Arc<Mutex<Vec<SocketAddr>>>) -> Arc<Discovery> {
    let candidates = Arc::clone(candidates);
    Arc::new(Discovery::new("thing", move || candidates.lock().unwrap().clone(), &["/what", "/who"], known))
}

fn at(servers: &[&Server]) -> Arc<Mutex<Vec<SocketAddr>>> {
    Arc::new(Mutex::new(servers.iter().map(|server| SocketAddr::from(([127, 0, 0, 1], server.port))).collect()))
}

/// Knows the second question.
async fn the_one() -> Server {
    Server::start(|_, request| match request.line() {
        "GET /who" => Answer::Bytes(ok("it is me")),
        "GET /what" => Answer::Bytes(response("404 Not Found", "", "")),
        _ => Answer::Last(ok("content")),
    })
    .await
}

async fn page(world: &World) -> Result<Response, Error> {
    let egress = world.egress(reaching(NAME, &["spark_ui"]));
    egress.send(get(format!("{NAME}/page"))).await
}

async fn until_found(world: &World) -> Response {
    loop {
        match page(world).await {
            Ok(response) => return response,
            Err(Error::Connect(_)) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Until who was found is asked again.
async fn past_what_is_fresh() {
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(2)).await;
    tokio::time::resume();
}

/// Scenario: of three candidates one refuses connections, one is something else, and one is what is looked for.
/// Guarantees: it is found and dialled, on its port, under the name of the rule; no name server is asked.
#[tokio::test]
async fn what_is_known_by_its_content_is_dialled() {
    let (gone, stranger, it) = (the_one().await, Server::saying("{}").await, the_one().await);
    let candidates = at(&[&gone, &stranger, &it]);
    drop(gone);
    let world = World::finding(looking_at(&candidates));
    assert_eq!(page(&world).await.unwrap().body, "content");
    assert_eq!(it.lines(), ["GET /what", "GET /who", "GET /page"]);
    it.received(|received| assert_eq!(received[2].header("host"), ["spark-ui.internal"]));
    assert_eq!(stranger.lines(), ["GET /what", "GET /who"]);
    assert!(world.looked_up().is_empty());
}

/// Scenario: several candidates are what is looked for.
/// Guarantees: the best one, which comes first, is taken.
#[tokio::test]
async fn the_first_candidate_is_preferred() {
    let (first, second) = (the_one().await, the_one().await);
    let world = World::finding(looking_at(&at(&[&first, &second])));
    page(&world).await.unwrap();
    assert!(first.lines().contains(&"GET /page".to_owned()));
    assert!(!second.lines().contains(&"GET /page".to_owned()));
}

/// Scenario: somebody keeps looking for what is not there, and pauses between two looks.
/// Guarantees: who asks meanwhile is answered at once.
#[tokio::test]
async fn nobody_waits_for_the_pause_between_two_looks() {
    let discovery = looking_at(&at(&[]));
    let world = World::finding(Arc::clone(&discovery));
    let looking = tokio::spawn(async move { discovery.keep_looking().await });
    assert!(page(&world).await.is_err());
    tokio::time::pause();
    let before = tokio::time::Instant::now();
    assert!(page(&world).await.is_err());
    assert_eq!(before.elapsed(), std::time::Duration::ZERO);
    looking.abort();
}

/// Scenario: nothing is there; something is that is not it; then it is.
/// Guarantees: until then requests end as when nothing listens, and are not sent to the stranger; from then on they
/// arrive.
#[tokio::test]
async fn it_is_awaited_and_a_stranger_is_not_taken_for_it() {
    let candidates = at(&[]);
    let world = World::finding(looking_at(&candidates));
    assert_eq!(page(&world).await.unwrap_err(), Error::Connect(format!("{NAME}: no thing has been found yet")));
    assert_eq!(world.waits(), [0; 0], "it is not asked again for what has not been found");
    let is_ready = Arc::new(AtomicBool::new(false));
    let ready = Arc::clone(&is_ready);
    let server = Server::start(move |_, request| match request.line() {
        "GET /who" if ready.load(Ordering::SeqCst) => Answer::Last(ok("it is me")),
        "GET /page" => Answer::Last(ok("content")),
        _ => Answer::Last(ok("starting up, please wait")),
    })
    .await;
    *candidates.lock().unwrap() = at(&[&server]).lock().unwrap().clone();
    while server.lines().len() < 2 {
        assert!(matches!(page(&world).await, Err(Error::Connect(_))));
        tokio::task::yield_now().await;
    }
    assert!(!server.lines().contains(&"GET /page".to_owned()));
    is_ready.store(true, Ordering::SeqCst);
    assert_eq!(until_found(&world).await.body, "content");
}

/// Scenario: somebody waits for what nobody asks for; it comes, ends, and comes on another port.
/// Guarantees: who waits is told of each, without a request.
#[tokio::test]
async fn whoever_waits_is_told() {
    let candidates = at(&[]);
    let discovery = looking_at(&candidates);
    let world = World::finding(Arc::clone(&discovery));
    let mut found = world.egress(reaching(NAME, &["spark_ui"])).found().unwrap();
    assert!(world.egress(reaching("http://127.0.0.1:1", &["loopback"])).found().is_none());
    let looking = tokio::spawn(async move { discovery.keep_looking().await });
    for _ in 0..2 {
        let server = the_one().await;
        *candidates.lock().unwrap() = at(&[&server]).lock().unwrap().clone();
        let address = *found.wait_for(Option::is_some).await.unwrap();
        assert_eq!(address.unwrap().port(), server.port);
        drop(server);
        past_what_is_fresh().await;
        // Only a request shows that it is gone.
        assert!(page(&world).await.is_err());
        assert!(found.borrow_and_update().is_none());
    }
    looking.abort();
}

/// Scenario: it ends, and comes back on another port.
/// Guarantees: it is found again; the egress that was made before goes on being of use.
#[tokio::test]
async fn it_is_followed_when_it_moves() {
    let first = the_one().await;
    let candidates = at(&[&first]);
    let world = World::finding(looking_at(&candidates));
    until_found(&world).await;
    drop(first);
    let second = the_one().await;
    *candidates.lock().unwrap() = at(&[&second]).lock().unwrap().clone();
    until_found(&world).await;
    assert!(second.lines().contains(&"GET /page".to_owned()));
}

/// Scenario: it was found, and then answers nobody for a while.
/// Guarantees: it is not given up, so that a request tells of a server that is slow and not of one that is gone.
#[tokio::test]
async fn one_that_is_busy_is_still_the_one() {
    let is_busy = Arc::new(AtomicBool::new(false));
    let busy = Arc::clone(&is_busy);
    let server = Server::start(move |_, request| match request.line() {
        _ if busy.load(Ordering::SeqCst) && request.line() != "GET /page" => Answer::Stall(Vec::new()),
        "GET /who" => Answer::Last(ok("it is me")),
        _ => Answer::Last(ok("content")),
    })
    .await;
    let candidates = at(&[&server]);
    let discovery = looking_at(&candidates);
    assert!(discovery.find().await.is_ok());
    is_busy.store(true, Ordering::SeqCst);
    past_what_is_fresh().await;
    assert!(discovery.find().await.is_ok());
    drop(server);
    past_what_is_fresh().await;
    assert!(discovery.find().await.is_err());
}

/// Scenario: candidates that are not this machine's, such as an address somebody else wrote into the driver's environment.
/// Guarantees: they are not asked.
#[tokio::test]
async fn nobody_elses_address_is_asked() {
    let it = the_one().await;
    let candidates = at(&[&it]);
    candidates.lock().unwrap().splice(0..0, ["169.254.169.254:80", "203.0.113.1:80"].map(|it| it.parse().unwrap()));
    let began = std::time::Instant::now();
    page(&World::finding(looking_at(&candidates))).await.unwrap();
    assert!(began.elapsed() < std::time::Duration::from_secs(3), "an address that is far away was waited for");
}

/// Scenario: a rule with ordinary addresses, in a world in which something can be found; and a rule that leaves it to a
/// host that looks for nothing.
/// Guarantees: the first asks the name server as ever; the second reaches nobody.
#[tokio::test]
async fn only_the_rule_that_says_so_is_served() {
    let it = the_one().await;
    let world = World::finding(looking_at(&at(&[&it]))).resolving(&["127.0.0.1"]);
    let origin = format!("http://spark-ui.internal:{}", it.port);
    let egress = world.egress(reaching(&origin, &["loopback"]));
    egress.send(get(format!("{origin}/page"))).await.unwrap();
    assert_eq!(world.looked_up(), ["spark-ui.internal"]);
    assert_eq!(it.lines(), ["GET /page"]);

    let error = page(&World::new()).await.unwrap_err();
    assert_eq!(error, Error::Connect(format!("{NAME}: nothing is looked for here")));
}
