//! A stand-in for the web interface of a Spark driver, through the stages a real one goes through.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};

use super::web::{Reply, Server};

/// What a driver answers with. The texts are those of Spark 3.5.9.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage {
    /// Jetty listens, the context does not exist: a page, with status 200, on every path.
    StartingUp,
    /// Everything answers.
    Ready,
    /// A Spark that keeps its version to itself.
    ReadyWithoutVersion,
    /// Something else that speaks JSON.
    AnotherService,
}

fn answer(stage: Stage, path: &str) -> Reply {
    let json = |body: &str| Reply::ok("application/json", body);
    match (stage, path) {
        (Stage::StartingUp, _) => {
            Reply::ok("text/html;charset=utf-8", "Spark is starting up. Please wait a while until it's ready.")
        }
        (Stage::Ready, "/api/v1/version") => json("{\n  \"spark\" : \"3.5.9\"\n}"),
        (Stage::Ready | Stage::ReadyWithoutVersion, "/api/v1/applications") => {
            json("[ {\n  \"id\" : \"local-1\",\n  \"name\" : \"app\",\n  \"attempts\" : [ { } ]\n} ]")
        }
        (Stage::AnotherService, _) => json("{ \"status\": \"ok\", \"version\": \"1\" }"),
        _ => Reply { status: "302 Found", headers: "Location: /jobs/\r\n".to_owned(), body: Vec::new() },
    }
}

/// A port that is taken, so that nobody else answers there, and refuses connections, as before the JVM has started.
pub(crate) struct Refusing {
    socket: OwnedFd,
    pub(crate) address: SocketAddr,
}

impl Refusing {
    pub(crate) fn new() -> Self {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = SocketAddr::try_from(getsockname(&socket).unwrap()).unwrap();
        Self { socket, address }
    }

    pub(crate) fn listen(self, stage: Stage) -> SparkUi {
        listen(&self.socket, 16).unwrap();
        SparkUi::serve(TcpListener::from(self.socket), stage)
    }
}

/// A Spark UI that can be moved from stage to stage. It closes its port when dropped.
pub(crate) struct SparkUi {
    server: Server,
    stage: Arc<AtomicUsize>,
}

const STAGES: [Stage; 4] = [Stage::StartingUp, Stage::Ready, Stage::ReadyWithoutVersion, Stage::AnotherService];

impl SparkUi {
    pub(crate) fn new(stage: Stage) -> Self {
        Self::serve(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(), stage)
    }

    fn serve(listener: TcpListener, stage: Stage) -> Self {
        let stage = Arc::new(AtomicUsize::new(stage as usize));
        let current = Arc::clone(&stage);
        let server = Server::start(listener, move |path| answer(STAGES[current.load(Ordering::SeqCst)], path));
        Self { server, stage }
    }

    pub(crate) fn set(&self, stage: Stage) {
        self.stage.store(stage as usize, Ordering::SeqCst);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Requests answered so far.
    pub(crate) fn served(&self) -> usize {
        self.server.served.load(Ordering::SeqCst)
    }
}
