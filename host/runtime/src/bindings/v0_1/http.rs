//! `http`: the egress of the instance.

use kiln_egress as egress;

use wasmtime::component::Resource;

use super::receiver::kiln::plugin::http::{Error, Header, Host, HostBody, Method, Opened, Request, Response};
use crate::breach::Breach;
use crate::host_calls::ITEM_BYTES;
use crate::open_bodies::OpenBody;
use crate::store_data::StoreData;

impl Host for StoreData {
    async fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, Error>> {
        self.count([&request])?;
        self.cpu.pause();
        let result = match &self.egress {
            Some(egress) => egress.send(request.into()).await,
            None => Err(not_granted()),
        };
        self.cpu.resume();
        Ok(answer(result))
    }

    async fn send_all(&mut self, requests: Vec<Request>) -> wasmtime::Result<Vec<Result<Response, Error>>> {
        self.count(&requests)?;
        self.cpu.pause();
        let results = match &self.egress {
            Some(egress) => egress.send_all(requests.into_iter().map(Into::into).collect()).await,
            None => requests.iter().map(|_| Err(not_granted())).collect(),
        };
        self.cpu.resume();
        Ok(results.into_iter().map(answer).collect())
    }

    async fn open(&mut self, request: Request) -> wasmtime::Result<Result<Opened, Error>> {
        self.count([&request])?;
        self.cpu.pause();
        let result = match &self.egress {
            Some(egress) => egress.open(request.into()).await,
            None => Err(not_granted()),
        };
        self.cpu.resume();
        Ok(match result {
            Ok(egress::Opened { status, headers, body }) => {
                Ok(Opened { status, headers: lower_headers(headers), body: self.open_bodies.insert(body) })
            }
            Err(error) => Err(error.into()),
        })
    }
}

impl HostBody for StoreData {
    async fn read(&mut self, body: Resource<OpenBody>) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        self.cpu.pause();
        let result = match self.open_bodies.get(&body) {
            Some(body) => body.read().await,
            None => Err(egress::Error::InvalidRequest("the body was closed when the call that opened it ended".into())),
        };
        self.cpu.resume();
        Ok(result.map(|piece| piece.map(Into::into)).map_err(Into::into))
    }

    async fn drop(&mut self, body: Resource<OpenBody>) -> wasmtime::Result<()> {
        self.open_bodies.remove(&body);
        Ok(())
    }
}

impl StoreData {
    /// Counts what the plugin hands over with requests.
    fn count<'r>(&self, requests: impl IntoIterator<Item = &'r Request>) -> Result<(), Breach> {
        self.host_calls.next();
        for Request { url, headers, body, .. } in requests {
            let headers = headers.iter().map(|header| header.name.len() + header.value.len() + ITEM_BYTES);
            let body = body.as_ref().map_or(0, Vec::len);
            self.host_calls.read(ITEM_BYTES + url.len() + headers.sum::<usize>() + body)?;
        }
        Ok(())
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

impl From<egress::Error> for Error {
    fn from(error: egress::Error) -> Self {
        match error {
            egress::Error::Denied(text) => Self::Denied(text),
            egress::Error::InvalidRequest(text) => Self::InvalidRequest(text),
            egress::Error::Timeout => Self::Timeout,
            egress::Error::Connect(text) => Self::Connect(text),
            egress::Error::Tls(text) => Self::Tls(text),
            egress::Error::TooLarge(limit) => Self::TooLarge(limit),
            egress::Error::RateLimited(seconds) => Self::RateLimited(seconds),
            egress::Error::TooFast(seconds) => Self::RateLimited(Some(seconds)),
            error @ egress::Error::TooManyRequests(_) => Self::Denied(error.to_string()),
            egress::Error::Cancelled => Self::Cancelled,
            egress::Error::Protocol(text) => Self::Protocol(text),
        }
    }
}

fn answer(result: Result<egress::Response, egress::Error>) -> Result<Response, Error> {
    let egress::Response { status, headers, body } = result?;
    Ok(Response { status, headers: lower_headers(headers), body: body.into() })
}

fn lower_headers(headers: Vec<(String, String)>) -> Vec<Header> {
    headers.into_iter().map(|(name, value)| Header { name, value }).collect()
}
