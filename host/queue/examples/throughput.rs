//! How fast a queue is, on the disk of the directory given (or a temporary one).
//!
//! ```sh
//! cargo run --release -p kiln-queue --example throughput -- /var/lib/kiln-bench
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs
)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use kiln_queue::{Disk, Fsync, Options, Queue, Recovery, Verdict};

/// A collection of a few hundred points, as OTLP.
const RECORD: usize = 32 << 10;
/// What the last measurement leaves behind and reads again.
const LARGE: u64 = 1 << 30;

fn open(path: &Path, fsync: Fsync) -> (Queue, Recovery) {
    std::fs::create_dir_all(path).unwrap();
    let dir = Dir::open_ambient_dir(path, ambient_authority()).unwrap();
    let options = Options { fsync, max_bytes: 4 * LARGE, max_records: 10_000_000, ..Options::default() };
    Queue::open(Disk::new(dir), options, |_, _| Verdict::Keep).unwrap()
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

fn main() {
    let temporary = tempfile::tempdir().unwrap();
    let root = std::env::args_os().nth(1).map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let payload: Vec<u8> = (0..RECORD).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect();

    for (name, fsync, records) in
        [("always", Fsync::Always, 500_usize), ("interval", Fsync::Interval, 20_000), ("never", Fsync::Never, 20_000)]
    {
        let (mut queue, _) = open(&root.join(name), fsync);
        let began = Instant::now();
        let mut synced = Instant::now();
        for _ in 0..records {
            let ids = queue.append(&[&payload]).unwrap();
            queue.read(ids[0]).unwrap();
            queue.acknowledge(&ids).unwrap();
            if fsync == Fsync::Interval && synced.elapsed().as_secs() >= 1 {
                queue.sync().unwrap();
                synced = Instant::now();
            }
        }
        queue.sync().unwrap();
        let per_second = records as f64 / began.elapsed().as_secs_f64();
        let mib = per_second * RECORD as f64 / f64::from(1 << 20);
        println!(
            "fsync {name}: {per_second:.0} records of 32 KiB appended, read and acknowledged a second, {mib:.0} MiB/s"
        );
    }

    let path = root.join("large");
    let (mut queue, _) = open(&path, Fsync::Never);
    while queue.bytes() < LARGE {
        queue.append(&[&payload]).unwrap();
    }
    drop(queue);
    let began = Instant::now();
    let (queue, recovery) = open(&path, Fsync::Always);
    println!("opened with {} records of {} MiB: {:.2?}", recovery.recovered, queue.bytes() >> 20, began.elapsed());
    drop(queue);

    let (mut queue, _) = open(&root.join("small"), Fsync::Never);
    let before = resident_bytes();
    let batch = [&b"small"[..]; 1000];
    for _ in 0..1000 {
        queue.append(&batch).unwrap();
    }
    let each = (resident_bytes() - before) / queue.len() as u64;
    println!("memory of a waiting record: {each} bytes, over {} records", queue.len());
}
