//! What a queue costs: points a second through it to a backend that takes everything, what a point that waits takes in memory, and
//! how long a large queue on disk takes to open.
//!
//! ```sh
//! cargo run --release -p kiln-export --example queues -- /var/lib/kiln-bench
//! ```
//!
//! The directory is for queues on disk; without one they are in a temporary one, which may be memory.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use kiln_config::{
    Batching, Compression, Destination, Encoding, ExporterKind, Fsync, OnFull, OtlpHttp, Queue, Retry, Sizer, Storage,
    Tls,
};
use kiln_export::{Exporter, ExporterHandle};
use kiln_memory::Memory;
use kiln_otlp::{
    Amount, Attributes, Batch, Invalid, ListItem, Metric, MetricsPayload, Number, NumberPoint, PerSignal, Scope,
    Temporality,
};
use kiln_telemetry::{Health, Metrics};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

const LARGE: u64 = 1 << 30;

/// One resource, one metric, so many points with six attributes.
fn batch(points: usize) -> Batch {
    let unlimited = Amount { bytes: usize::MAX, items: usize::MAX };
    let mut payload = MetricsPayload::new(1, unlimited, Amount::default());
    let none = |_: &mut Attributes<'_>| Ok(());
    let service = |attributes: &mut Attributes<'_>| attributes.value("service.name", ListItem::Text("shop"));
    payload
        .group::<Invalid>(service, Scope { name: "bench", version: "1" }, none, |items| {
            items.metric(Metric { name: "requests", description: "what it is", unit: "1" }, none, |body| {
                body.sum(Temporality::Cumulative, true, |list| {
                    (0..points).try_for_each(|index| {
                        let value = Some(Number::Integer(1));
                        list.point(NumberPoint { start_time: 1, time: 2, value }, |body| {
                            body.attributes(|attributes| {
                                attributes.value("http.request.method", ListItem::Text("GET"))?;
                                attributes.value("server.address", ListItem::Text("shop.example.com"))?;
                                attributes.value("server.port", ListItem::Integer(443))?;
                                attributes.value("region", ListItem::Text("eu-central-1"))?;
                                attributes.value("user.id", ListItem::Text(&format!("user-{index}")))?;
                                attributes.value("http.route", ListItem::Text(&format!("/page/{}", index % 100)))
                            })
                        })
                    })
                })
            })
        })
        .unwrap();
    payload.finish().unwrap()
}

/// A copy with bytes of its own, as every collection brings.
fn copy(batch: &Batch) -> Batch {
    Batch { payload: batch.payload.to_vec().into(), ..batch.clone() }
}

/// A backend that takes everything and says nothing.
async fn backend() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/metrics", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    url
}

async fn serve(mut stream: TcpStream) -> Option<()> {
    let mut read = Vec::new();
    loop {
        let head = loop {
            if let Some(at) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            stream.read_buf(&mut read).await.ok().filter(|read| *read > 0)?;
        };
        let text = String::from_utf8_lossy(&read[..head]).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let end = head + length.unwrap_or(0);
        while read.len() < end {
            stream.read_buf(&mut read).await.ok().filter(|read| *read > 0)?;
        }
        read.drain(..end);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.ok()?;
    }
}

fn kind(url: &str, queue: Queue) -> ExporterKind {
    let destination = Destination {
        url: url.parse().unwrap(),
        headers: Vec::new(),
        compression: Compression::None,
        encoding: Encoding::Protobuf,
        timeout: Duration::from_secs(30),
        tls: Tls::default(),
    };
    ExporterKind::OtlpHttp(Box::new(OtlpHttp {
        destinations: PerSignal::new(|_| destination.clone()),
        retry: Retry { max_elapsed_time: None, ..Retry::default() },
        queue,
        proxy: None,
    }))
}

fn on_disk(directory: &Path, fsync: Fsync) -> Queue {
    let directory = directory.to_owned();
    let storage = Storage { directory, max_bytes: 8 * LARGE, on_full: OnFull::Block, fsync };
    Queue { queue_size: 100_000_000, storage: Some(storage), ..Queue::default() }
}

fn start(url: &str, queue: Queue, memory: &Memory) -> ExporterHandle {
    let exporter = Exporter::new(&"otlp_http".parse().unwrap(), &kind(url, queue)).unwrap();
    let storage = exporter.open_storage(&|_| None).unwrap();
    exporter.start(storage, memory, &Metrics::new(""), &Health::default())
}

/// Points a second, from the first that is handed over to the last that has arrived.
async fn rate(what: &str, queue: Queue, points: usize, batches: usize) {
    let exporter = start(&backend().await, queue, &Memory::default());
    let batch = batch(points);
    let began = Instant::now();
    for _ in 0..batches {
        exporter.enqueue(copy(&batch)).await.unwrap();
    }
    let drained = exporter.drain(began + Duration::from_secs(600)).await;
    let took = began.elapsed();
    assert_eq!(drained.undelivered.total(), 0);
    let rate = (points * batches) as f64 / took.as_secs_f64();
    let bytes = (batch.payload.len() * batches) as f64 / took.as_secs_f64() / f64::from(1 << 20);
    println!("{what}, {points} points a batch: {rate:.0} points/s, {bytes:.0} MiB/s");
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

/// Bytes of memory for each point that waits while the backend is down.
async fn held(what: &str, queue: Queue, points: usize, batches: usize) {
    let memory = Memory::default();
    // Nobody listens there.
    let exporter = start("http://127.0.0.1:9/v1/metrics", queue, &memory);
    let batch = batch(points);
    let before = resident_bytes();
    for _ in 0..batches {
        let batch = copy(&batch);
        let counted = Batch { payload: memory.count(batch.payload), ..batch };
        exporter.enqueue(counted).await.unwrap();
    }
    let all = points * batches;
    let each = resident_bytes().saturating_sub(before) as f64 / all as f64;
    let counted = memory.held() as f64 / all as f64;
    let encoded = batch.payload.len() as f64 / points as f64;
    println!(
        "{what}, {points} points a batch: {each:.1} bytes of memory a point that waits, {counted:.1} of them counted; {encoded:.1} \
         as OTLP"
    );
    exporter.drain(Instant::now()).await;
}

async fn recovery(directory: &Path) {
    let batch = batch(1000);
    let exporter = start("http://127.0.0.1:9/v1/metrics", on_disk(directory, Fsync::Never), &Memory::default());
    let batches = usize::try_from(LARGE).unwrap() / batch.payload.len() + 1;
    for _ in 0..batches {
        exporter.enqueue(batch.clone()).await.unwrap();
    }
    exporter.drain(Instant::now()).await;
    drop(exporter);
    let exporter = kind("http://127.0.0.1:9/v1/metrics", on_disk(directory, Fsync::Always));
    let exporter = Exporter::new(&"otlp_http".parse().unwrap(), &exporter).unwrap();
    let began = Instant::now();
    let storage = exporter.open_storage(&|_| None).unwrap();
    println!("a queue of 1 GiB, {batches} batches of 1000 points: open after {:.2?}", began.elapsed());
    drop(storage);
}

#[tokio::main]
async fn main() {
    let temporary = tempfile::tempdir().unwrap();
    let root = std::env::args_os().nth(1).map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let in_memory = || Queue { queue_size: 64 << 20, sizer: Sizer::Bytes, ..Queue::default() };
    let large = || Queue { queue_size: usize::MAX, sizer: Sizer::Requests, ..Queue::default() };

    held("in memory", large(), 1000, 200).await;
    held("in memory", large(), 1, 200_000).await;
    held("on disk", on_disk(&root.join("held"), Fsync::Never), 1000, 2000).await;
    held("on disk", on_disk(&root.join("held-1"), Fsync::Never), 1, 200_000).await;

    for (points, batches) in [(1000, 2000), (10, 20_000)] {
        rate("in memory", in_memory(), points, batches).await;
        rate(
            "on disk, fsync interval",
            on_disk(&root.join(format!("interval-{points}")), Fsync::Interval),
            points,
            batches,
        )
        .await;
        rate(
            "on disk, fsync always",
            on_disk(&root.join(format!("always-{points}")), Fsync::Always),
            points,
            batches / 10,
        )
        .await;
    }
    let joined = |queue: Queue| Queue {
        batch: Some(Batching {
            flush_timeout: Batching::FLUSH_TIMEOUT,
            min_size: Batching::MIN_ITEMS,
            max_size: None,
            sizer: Sizer::Items,
        }),
        ..queue
    };
    rate("in memory, joined to 8192", joined(in_memory()), 10, 20_000).await;
    rate("on disk, fsync interval, joined to 8192", joined(on_disk(&root.join("joined"), Fsync::Interval)), 10, 20_000)
        .await;

    recovery(&root.join("large")).await;
}
