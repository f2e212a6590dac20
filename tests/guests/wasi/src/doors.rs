//! The same request through both doors: `kiln:plugin/http` and `wasi:http`.

use kiln_plugin::http::{Header, HttpError, Method, Request};
use kiln_plugin::{Host, Level};
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{self, ErrorCode, Fields, OutgoingRequest, Scheme};
use wasip2::io::streams::StreamError;

/// Sends `METHOD URL` or `METHOD URL HEADER` twice and says what came of it; 1 if it was the same.
pub(crate) fn compare(host: &Host, request: &str) -> usize {
    let mut words = request.split(' ');
    let (Some(method), Some(url)) = (words.next(), words.next()) else { return 0 };
    let header = words.next();
    let (ours, theirs) = (through_kiln(host, method, url, header), through_wasi(method, url, header));
    let verdict = if ours == theirs { "same" } else { "different" };
    host.log(Level::Info, &format!("{request}: {verdict}, {ours} and {theirs}"), &[]);
    usize::from(ours == theirs)
}

fn through_kiln(host: &Host, method: &str, url: &str, header: Option<&str>) -> String {
    let method = match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "PATCH" => Method::Patch,
        _ => Method::Delete,
    };
    let headers =
        header.map(|name| Header { name: name.to_owned(), value: "x".to_owned() }).into_iter().collect::<Vec<_>>();
    let request = Request { method, url: url.to_owned(), headers, body: None };
    match host.http().send(&request) {
        Ok(response) => format!("{} with {} bytes", response.status, response.body.len()),
        Err(HttpError::Denied(_)) => "denied".to_owned(),
        Err(HttpError::InvalidRequest(_)) => "refused".to_owned(),
        Err(HttpError::Connect(_)) => "unreachable".to_owned(),
        Err(HttpError::TooLarge(_)) => "too large".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

fn through_wasi(method: &str, url: &str, header: Option<&str>) -> String {
    let answer = exchange(method, url, header);
    match answer {
        Ok((status, bytes)) => format!("{status} with {bytes} bytes"),
        Err(ErrorCode::HttpRequestDenied) => "denied".to_owned(),
        Err(ErrorCode::InternalError(_)) => "refused".to_owned(),
        Err(ErrorCode::DestinationUnavailable) => "unreachable".to_owned(),
        Err(ErrorCode::HttpResponseBodySize(_)) => "too large".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

fn exchange(method: &str, url: &str, header: Option<&str>) -> Result<(u16, usize), ErrorCode> {
    let refused = || ErrorCode::InternalError(None);
    let headers = Fields::new();
    if let Some(name) = header {
        headers.append(name, b"x").map_err(|_| refused())?;
    }
    let request = OutgoingRequest::new(headers);
    let method = match method {
        "GET" => types::Method::Get,
        "HEAD" => types::Method::Head,
        "POST" => types::Method::Post,
        "PUT" => types::Method::Put,
        "PATCH" => types::Method::Patch,
        _ => types::Method::Delete,
    };
    request.set_method(&method).map_err(|()| refused())?;
    let (scheme, rest) = url.split_once("://").ok_or_else(refused)?;
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    request.set_scheme(Some(&scheme)).map_err(|()| refused())?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    request.set_authority(Some(authority)).map_err(|()| refused())?;
    request.set_path_with_query(Some(&format!("/{path}"))).map_err(|()| refused())?;
    let response = handle(request, None)?;
    response.subscribe().block();
    let response = response.get().ok_or_else(refused)?.map_err(|()| refused())??;
    let body = response.consume().map_err(|()| refused())?;
    let stream = body.stream().map_err(|()| refused())?;
    let mut bytes = 0;
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(piece) => bytes += piece.len(),
            Err(StreamError::Closed) => return Ok((response.status(), bytes)),
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(types::http_error_code(&error).unwrap_or(ErrorCode::HttpProtocolError));
            }
        }
    }
}
