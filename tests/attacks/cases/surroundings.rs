//! What is around the process: its environment, and whoever can reach its own pages.

use std::io::Write as _;
use std::net::TcpStream;

use crate::arena::{Arena, DENIALS, Stopped};
use crate::attack::attacks;
use crate::hostile_server::HostileServer;

attacks!(
    "surroundings",
    "surroundings.rs",
    running: [proxy_in_the_environment, proxy_that_is_configured, connections_that_say_nothing, requests_for_pages_without_end],
    refused: [],
);

/// Scenario: variables of the environment name a proxy, which would see and could change every request of a plugin.
/// Guarantees: nobody granted it, so nothing goes there.
fn proxy_in_the_environment(arena: &mut Arena) -> Result<Stopped, String> {
    let proxy = HostileServer::start(|connection| connection.answer(200, "from the proxy"))?;
    let server = HostileServer::start(|connection| connection.answer(200, "from the server"))?;
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
        arena.environment(name, &proxy.url());
    }
    // Exporters go by these variables, as those of other collectors do; the backend is called `localhost`, the server not.
    arena.environment("NO_PROXY", "localhost");
    arena.probe(&server, "")?;
    arena.start()?;
    arena.says(&["probe", "answered 200: from the server"])?;
    let stopped = arena.stopped("harmless", "kiln_egress_requests_total", &["probe", "outcome=\"ok\""])?;
    match proxy.heads().first() {
        Some(head) => Err(format!("this went to the proxy: {head}")),
        None => Ok(stopped),
    }
}

/// Scenario: `policy.proxy: system` hands requests to that proxy, and it answers with what the origin never said, a redirect to
/// the metadata service.
/// Guarantees: where it is configured the proxy is asked; what it says is judged as if the origin had said it.
fn proxy_that_is_configured(arena: &mut Arena) -> Result<Stopped, String> {
    let proxy = HostileServer::start(|connection| {
        connection.send("HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n");
    })?;
    arena.environment("HTTP_PROXY", &proxy.url());
    arena.environment("NO_PROXY", "localhost");
    arena.top("policy: { proxy: system }");
    arena.probe_origin("http://weather.example", "redirects: 1", "")?;
    arena.start()?;
    let stopped = arena.stopped("denied", DENIALS, &["probe", "reason=\"origin\""])?;
    match proxy.heads().first() {
        Some(head) if head.starts_with("GET http://weather.example/ ") => Ok(stopped),
        other => Err(format!("the proxy was asked {other:?}")),
    }
}

fn connect(arena: &Arena, count: usize) -> Result<Vec<TcpStream>, String> {
    let address = arena.health_address()?;
    (0..count).map(|_| TcpStream::connect(&address).map_err(|error| format!("{address}: {error}"))).collect()
}

/// Scenario: more connections to the pages of Kiln's health than it serves at once, which say half a line and nothing more.
/// Guarantees: they are cut off; whoever asks properly has to wait, and no collection does.
fn connections_that_say_nothing(arena: &mut Arena) -> Result<Stopped, String> {
    arena.start()?;
    let mut connections = connect(arena, 60)?;
    for connection in &mut connections {
        let _ = connection.write_all(b"GET /metr");
    }
    arena.stopped("harmless", "kiln_instance_up", &["steady"])
}

/// Scenario: a request to the pages of Kiln's health with a head that never ends.
/// Guarantees: it is cut off, and nobody else notices.
fn requests_for_pages_without_end(arena: &mut Arena) -> Result<Stopped, String> {
    arena.start()?;
    let mut connections = connect(arena, 4)?;
    for connection in &mut connections {
        let _ = connection.write_all(b"GET /metrics HTTP/1.1\r\n");
        let line = "x: y\r\n".repeat(1000);
        // A megabyte and more: somewhere on the way nobody takes it any more.
        let cut_off = (0..2000).any(|_| connection.write_all(line.as_bytes()).is_err());
        if !cut_off {
            return Err("twelve megabytes of a head were taken".to_owned());
        }
    }
    arena.stopped("harmless", "kiln_instance_up", &["steady"])
}
