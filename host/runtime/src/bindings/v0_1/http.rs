//! `http`: the egress of the instance.

use kiln_egress as egress;

use super::receiver::kiln::plugin::http::{Error, Header, Host, Method, Request, Response};
use crate::store_data::StoreData;

impl Host for StoreData {
    async fn send(&mut self, request: Request) -> Result<Response, Error> {
        self.cpu.pause();
        let result = match &self.egress {
            Some(egress) => egress.send(request.into()).await,
            None => Err(not_granted()),
        };
        self.cpu.resume();
        answer(result)
    }

    async fn send_all(&mut self, requests: Vec<Request>) -> Vec<Result<Response, Error>> {
        self.cpu.pause();
        let results = match &self.egress {
            Some(egress) => egress.send_all(requests.into_iter().map(Into::into).collect()).await,
            None => requests.iter().map(|_| Err(not_granted())).collect(),
        };
        self.cpu.resume();
        results.into_iter().map(answer).collect()
    }
}

/// Cannot happen while linking follows the policy; a denial rather than a trap, should it ever.
fn not_granted() -> egress::Error {
    egress::Error::Denied("http is not granted".to_owned())
}

impl From<Request> for egress::Request {
    fn from(request: Request) -> Self {
        Self {
            method: match request.method {
                Method::Get => kiln_policy::Method::Get,
                Method::Head => kiln_policy::Method::Head,
                Method::Post => kiln_policy::Method::Post,
                Method::Put => kiln_policy::Method::Put,
                Method::Patch => kiln_policy::Method::Patch,
                Method::Delete => kiln_policy::Method::Delete,
            },
            url: request.url,
            headers: request.headers.into_iter().map(|header| (header.name, header.value)).collect(),
            body: request.body,
        }
    }
}

fn answer(result: Result<egress::Response, egress::Error>) -> Result<Response, Error> {
    let response = result.map_err(|error| match error {
        egress::Error::Denied(text) => Error::Denied(text),
        egress::Error::InvalidRequest(text) => Error::InvalidRequest(text),
        egress::Error::Timeout => Error::Timeout,
        egress::Error::Connect(text) => Error::Connect(text),
        egress::Error::Tls(text) => Error::Tls(text),
        egress::Error::TooLarge(limit) => Error::TooLarge(limit),
        egress::Error::RateLimited(seconds) => Error::RateLimited(seconds),
        egress::Error::Cancelled => Error::Cancelled,
        egress::Error::Protocol(text) => Error::Protocol(text),
    })?;
    let headers = response.headers.into_iter().map(|(name, value)| Header { name, value }).collect();
    Ok(Response { status: response.status, headers, body: response.body.into() })
}
