//! Answers that do not come to their end.

use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_LENGTH;
use axum::response::Response;
use http_body::{Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The first half of an answer of at most `limit` bytes, whose whole length is promised.
pub(crate) async fn broken_off(response: Response, limit: usize, end: End) -> Response {
    let (mut head, body) = response.into_parts();
    let bytes = to_bytes(body, limit).await.unwrap_or_default();
    head.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let first = Some(bytes.slice(..bytes.len() / 2));
    Response::from_parts(head, Body::new(Half { first, paused: false, end }))
}

/// The first half of a body.
struct Half {
    first: Option<Bytes>,
    paused: bool,
    end: End,
}

/// And then.
pub(crate) enum End {
    Cut,
    Never,
}

impl HttpBody for Half {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        match self.end {
            End::Never => Poll::Pending,
            // The half is only sent if the connection is given a moment to send it.
            End::Cut if !self.paused => {
                self.paused = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            End::Cut => Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into()))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
