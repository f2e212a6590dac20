use std::sync::atomic::{AtomicU64, Ordering};

use kiln_telemetry::Metrics;
use kiln_telemetry::metrics::Format;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{advance, sleep};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn memory(batches: u64) -> Memory {
    Memory::with(batches, None, Metrics::new("").memory())
}

/// Memory whose process takes what it is told, of at most 1000 bytes.
fn guarded(metrics: &Metrics) -> (Memory, Arc<AtomicU64>) {
    let taken = Arc::new(AtomicU64::new(0));
    (Memory::with(100, Some((1000, Taken::Told(Arc::clone(&taken)))), metrics.memory()), taken)
}

fn asking(memory: &Memory, bytes: u64) -> JoinHandle<(Reservation, Option<MemoryBound>)> {
    let memory = memory.clone();
    tokio::spawn(async move {
        let mut waited = None;
        let reservation = memory.room(bytes, |bound| waited = Some(bound)).await;
        (reservation, waited)
    })
}

async fn settle() {
    for _ in 0..20 {
        yield_now().await;
    }
}

#[tokio::test]
async fn a_collection_begins_when_there_is_room_for_it() {
    let memory = memory(100);
    let batch = memory.count(Bytes::from(vec![0; 60]));
    let (small, waited) = asking(&memory, 40).await.unwrap();
    assert_eq!((waited, memory.held()), (None, 100));
    let next = asking(&memory, 40);
    settle().await;
    assert!(!next.is_finished());
    drop(small);
    let (_next, waited) = next.await.unwrap();
    assert_eq!(waited, Some(MemoryBound::Batches));
    drop(batch);
    assert_eq!(memory.held(), 40);
}

#[tokio::test]
async fn what_is_larger_than_all_there_is_passes_alone() {
    let memory = memory(100);
    let batch = memory.hold(1);
    let large = asking(&memory, 1000);
    settle().await;
    assert!(!large.is_finished());
    drop(batch);
    let (_large, _) = large.await.unwrap();
    let small = asking(&memory, 1);
    settle().await;
    assert!(!small.is_finished());
}

/// Scenario: a large collection waits, and small ones that would fit come after it.
/// Guarantees: they do not pass it, or it would wait for ever; whoever gives up leaves its place.
#[tokio::test]
async fn those_who_wait_get_room_in_the_order_they_came() {
    let memory = memory(100);
    let batch = memory.hold(50);
    let large = asking(&memory, 80);
    settle().await;
    let small = asking(&memory, 10);
    settle().await;
    assert!(!small.is_finished());
    large.abort();
    let (small, waited) = small.await.unwrap();
    assert_eq!(waited, Some(MemoryBound::Batches));
    drop((batch, small));
    assert_eq!(memory.held(), 0);
}

/// Scenario: two collections begin at the same moment, on two threads, again and again; there is room for both.
/// Guarantees: neither has waited, whichever was first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_come_at_the_same_moment_is_not_to_wait() {
    let metrics = Metrics::new("");
    let (memory, _) = guarded(&metrics);
    for _ in 0..2000 {
        let (one, other) = (asking(&memory, 1), asking(&memory, 1));
        assert_eq!((one.await.unwrap().1, other.await.unwrap().1), (None, None));
    }
}

/// Scenario: a third collection comes while the first waits for memory and the second for its turn.
/// Guarantees: each is told what it waits for at once, not when its turn has come.
#[tokio::test(start_paused = true)]
async fn whoever_is_behind_one_that_waits_knows_for_what() {
    let memory = memory(100);
    let batch = memory.hold(100);
    let waited: Arc<Mutex<Vec<MemoryBound>>> = Arc::default();
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let (memory, waited) = (memory.clone(), Arc::clone(&waited));
            tokio::spawn(async move { memory.room(10, |bound| waited.lock().unwrap().push(bound)).await })
        })
        .collect();
    settle().await;
    assert_eq!(*waited.lock().unwrap(), [MemoryBound::Batches; 3]);
    drop(batch);
    for task in tasks {
        let _room = task.await.unwrap();
    }
    assert_eq!(waited.lock().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_takes_too_much_keeps_the_door_shut_until_it_takes_clearly_less() {
    let metrics = Metrics::new("");
    let (memory, taken) = guarded(&metrics);
    let _batch = memory.hold(1);
    taken.store(1000, Ordering::Relaxed);
    let next = asking(&memory, 1);
    sleep(60 * SECOND).await;
    taken.store(960, Ordering::Relaxed);
    sleep(60 * SECOND).await;
    assert!(!next.is_finished());
    taken.store(949, Ordering::Relaxed);
    let (_next, waited) = next.await.unwrap();
    assert_eq!(waited, Some(MemoryBound::Process));
    let text = metrics.expose(Format::OpenMetrics);
    for line in [
        "kiln_memory_limit_hits_total{limit=\"process\"} 1",
        "kiln_memory_limit_hits_total{limit=\"batches\"} 0",
        "kiln_memory_process_bytes 949",
        "kiln_memory_process_limit_bytes 1000",
        "kiln_memory_batches_bytes 2",
        "kiln_memory_batches_limit_bytes 100",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
}

/// Scenario: the process takes too much, and nothing it holds could be let go; three collections wait.
/// Guarantees: they begin one at a time, so that the process goes on, and none before it has waited for a while.
#[tokio::test(start_paused = true)]
async fn when_waiting_frees_nothing_collections_begin_one_at_a_time() {
    let (memory, taken) = guarded(&Metrics::new(""));
    taken.store(5000, Ordering::Relaxed);
    let waiting: Vec<_> = (0..3).map(|_| asking(&memory, 1)).collect();
    settle().await;
    advance(ALONE - SECOND).await;
    settle().await;
    assert!(waiting.iter().all(|it| !it.is_finished()));
    sleep(2 * SECOND).await;
    for waiting in waiting {
        sleep(10 * SECOND).await;
        assert!(waiting.is_finished());
        assert_eq!(memory.held(), 1);
        drop(waiting.await.unwrap());
    }
    assert_eq!(memory.held(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_collections_never_take_more_than_there_is() {
    let memory = memory(100);
    let tasks: Vec<_> = (0..8_u64)
        .map(|task| {
            let memory = memory.clone();
            tokio::spawn(async move {
                for round in 0..200 {
                    let room = memory.room(1 + (task * 7 + round) % 60, |_| {}).await;
                    assert!(memory.held() <= 100);
                    yield_now().await;
                    drop(room);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(memory.held(), 0);
}

#[test]
fn shares_are_of_what_there_is() {
    let metrics = Metrics::new("");
    let of = |process, batches| Memory::new(&MemoryLimit { process, batches }, metrics.memory());
    let system = System::look(Path::new("/"));
    let Some(available) = system.available() else { return };
    let half = of(Share::Percent(50), Some(Share::Percent(10)));
    assert_eq!((half.process_limit(), half.batches_limit()), (Some(available / 100 * 50), available / 100 * 10));
    let bytes = of(Share::Bytes(7), Some(Share::Bytes(5)));
    assert_eq!((bytes.process_limit(), bytes.batches_limit()), (Some(7), 5));
    assert_eq!(of(Share::Percent(80), None).batches_limit(), MemoryLimit::BATCHES.min(available / 100 * 25));
}
