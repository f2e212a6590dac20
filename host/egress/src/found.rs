//! A server whose address nobody can write down: it is looked for on this machine, and known by what it answers.
//!
//! Looking happens where a connection is made, inside the resolver, so there is no time between finding and dialling. A
//! connection that lasts is evidence enough: as long as it does, nobody looks. What keeps this true:
//!
//! - an address is asked only if it is this machine's, and dialled only if the policy lets found addresses be;
//! - a server is known by its content, never by a status or by its port alone;
//! - somebody who asks for a server that is not there is answered at once: between two looks there are pauses that grow
//!   up to [`LONGEST_PAUSE`]. Who would rather wait than ask is told ([`Discovery::found`]).

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep};

/// How long one candidate may take to show what it is. Less than a connection may take as a whole.
const PATIENCE: Duration = Duration::from_secs(3);

/// Pauses between two looks that found nothing: the first, doubled each time up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// See [`FIRST_PAUSE`].
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What was found is not asked again for this long: several connections are often made at once.
const FRESH: Duration = Duration::from_secs(1);

/// Bytes of an answer that are looked at.
const MOST: usize = 64 * 1024;

/// Candidates that are asked at most.
const MOST_CANDIDATES: usize = 64;

/// An answer to one of the questions.
#[derive(Debug)]
pub struct FoundAnswer {
    /// The status.
    pub status: u16,
    /// What the server says the body is; empty if nothing.
    pub content_type: String,
    /// The body, its first 64 KiB.
    pub body: Vec<u8>,
}

/// It is not there, as far as anybody has looked.
#[derive(Debug, thiserror::Error)]
#[error("no {0} has been found yet")]
pub(crate) struct NotFound(&'static str);

/// What is looked for, where, and how it is known. Shared by everybody who looks for the same.
pub struct Discovery {
    what: &'static str,
    candidates: Box<dyn Fn() -> Vec<SocketAddr> + Send + Sync>,
    questions: &'static [&'static str],
    recognises: fn(&str, &FoundAnswer) -> bool,
    state: Mutex<State>,
    found: watch::Sender<Option<SocketAddr>>,
}

#[derive(Debug, Default)]
struct State {
    client: Option<reqwest::Client>,
    looked: Option<Instant>,
    pause: Duration,
    /// What answered without being what is looked for, so that each is told of once.
    strangers: BTreeMap<SocketAddr, u16>,
}

/// What one candidate turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// What is looked for.
    It,
    /// Something that listens and does not answer in time.
    Silent,
    /// Something else, and the last status it gave.
    Stranger(u16),
    /// Nothing.
    Nobody,
}

impl std::fmt::Debug for Discovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Discovery").field("what", &self.what).finish_non_exhaustive()
    }
}

impl Discovery {
    /// Looks for `what` (a word for messages) at `candidates`, which are asked for each time and come best first. Each is
    /// asked the `questions`, paths of GET requests, one after the other until it `recognises` an answer.
    #[must_use]
    pub fn new(
        what: &'static str,
        candidates: impl Fn() -> Vec<SocketAddr> + Send + Sync + 'static,
        questions: &'static [&'static str],
        recognises: fn(&str, &FoundAnswer) -> bool,
    ) -> Self {
        let (state, found) = (Mutex::default(), watch::Sender::new(None));
        Self { what, candidates: Box::new(candidates), questions, recognises, state, found }
    }

    /// Where it is, as far as anybody has looked.
    #[must_use]
    pub fn found(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.found.subscribe()
    }

    /// Looks for it whenever it is not there, so that it is found although nobody asks. Does not end.
    pub async fn keep_looking(&self) {
        let mut found = self.found();
        while found.wait_for(Option::is_none).await.is_ok() {
            let _not_yet = self.find().await;
            // Let go of before the pause, or whoever asks meanwhile would wait for it.
            let pause = self.state.lock().await.pause;
            sleep(pause).await;
        }
    }

    /// Where it is now.
    ///
    /// # Errors
    /// It is not there, or was not a moment ago.
    pub(crate) async fn find(&self) -> io::Result<SocketAddr> {
        let mut state = self.state.lock().await;
        let missing = || io::Error::new(io::ErrorKind::NotFound, NotFound(self.what));
        let known = *self.found.borrow();
        if let Some(since) = state.looked.map(|looked| looked.elapsed()) {
            match known {
                Some(found) if since < FRESH => return Ok(found),
                None if since < state.pause => return Err(missing()),
                Some(_) | None => {}
            }
        }
        let candidates = self.candidates_on_this_machine();
        let client = match &state.client {
            Some(client) => client.clone(),
            None => state.client.insert(client()?).clone(),
        };
        let looks = join_all(candidates.iter().map(|address| self.look(&client, *address))).await;
        state.looked = Some(Instant::now());
        let seen: Vec<(SocketAddr, Look)> = candidates.into_iter().zip(looks).collect();
        self.tell_of_strangers(&mut state, &seen);
        let it = seen.iter().find(|(_, look)| *look == Look::It).map(|(address, _)| *address);
        // One that was found and is too busy to answer is still the one.
        let busy = known.filter(|found| seen.contains(&(*found, Look::Silent)));
        let found = it.or(busy);
        if found != known {
            match found {
                Some(address) => tracing::info!(%address, "found the {}", self.what),
                None => tracing::info!("the {} is gone: looking for another", self.what),
            }
        }
        self.found.send_if_modified(|known| std::mem::replace(known, found) != found);
        state.pause = match found {
            Some(_) => Duration::ZERO,
            None => (state.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE),
        };
        found.ok_or_else(missing)
    }

    fn candidates_on_this_machine(&self) -> Vec<SocketAddr> {
        let mut candidates = Vec::new();
        for address in (self.candidates)() {
            if candidates.len() < MOST_CANDIDATES && !candidates.contains(&address) && is_of_this_machine(address.ip())
            {
                candidates.push(address);
            }
        }
        candidates
    }

    async fn look(&self, client: &reqwest::Client, address: SocketAddr) -> Look {
        let mut look = Look::Nobody;
        let asking = async {
            for question in self.questions {
                match ask(client, address, question).await {
                    Ok(answer) if (self.recognises)(question, &answer) => {
                        look = Look::It;
                        return;
                    }
                    Ok(answer) => look = Look::Stranger(answer.status),
                    Err(error) if error.is_connect() => {
                        look = Look::Nobody;
                        return;
                    }
                    Err(_) => look = Look::Stranger(0),
                }
            }
        };
        match tokio::time::timeout(PATIENCE, asking).await {
            Ok(()) => look,
            // The connection itself would have been refused, or timed out by itself, on this machine at once.
            Err(_) => Look::Silent,
        }
    }

    fn tell_of_strangers(&self, state: &mut State, seen: &[(SocketAddr, Look)]) {
        let mut strangers = BTreeMap::new();
        for (address, look) in seen {
            let Look::Stranger(status) = look else { continue };
            if state.strangers.get(address) != Some(status) {
                tracing::info!(%address, status, "something answers there, and is not the {} yet", self.what);
            }
            strangers.insert(*address, *status);
        }
        state.strangers = strangers;
    }
}

/// Asking the system for a socket of that address: it gives none of an address it does not have. Nothing is sent.
fn is_of_this_machine(address: IpAddr) -> bool {
    address.is_loopback()
        || (!address.is_unspecified() && !address.is_multicast() && UdpSocket::bind((address, 0)).is_ok())
}

fn client() -> io::Result<reqwest::Client> {
    reqwest::Client::builder()
        .no_proxy()
        .no_gzip()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(PATIENCE)
        // A server that is gone must not be found by a connection that was kept.
        .pool_max_idle_per_host(0)
        .tls_certs_only([])
        .build()
        .map_err(io::Error::other)
}

async fn ask(client: &reqwest::Client, address: SocketAddr, question: &str) -> Result<FoundAnswer, reqwest::Error> {
    let request = client.get(format!("http://{address}{question}")).header(reqwest::header::ACCEPT, "application/json");
    let mut response = request.send().await?;
    let status = response.status().as_u16();
    let content_type = response.headers().get(reqwest::header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = MOST.saturating_sub(body.len());
        body.extend(chunk.iter().take(room));
        if body.len() >= MOST {
            break;
        }
    }
    Ok(FoundAnswer { status, content_type, body })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Guarantees: an address is one's own or it is not asked, whatever it is.
    #[test]
    fn only_this_machine_is_asked() {
        for (address, is_ours) in [
            ("127.0.0.1", true),
            ("127.8.9.10", true),
            ("::1", true),
            ("203.0.113.7", false),
            ("169.254.169.254", false),
            ("0.0.0.0", false),
            ("224.0.0.1", false),
        ] {
            assert_eq!(is_of_this_machine(address.parse().unwrap()), is_ours, "{address}");
        }
    }
}
