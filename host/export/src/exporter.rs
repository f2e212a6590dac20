//! An exporter's life: configured, checked, running, drained.
//!
//! [`Exporter::new`] checks everything that can be checked without a network, so `kiln validate` can do so too.
//! [`Exporter::start`] gives it a queue and workers. [`ExporterHandle::drain`] ends it by a deadline and says what is lost.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use kiln_config::{ComponentId, ExporterKind, Sizer};
use kiln_memory::Memory;
use kiln_otlp::Batch;
use kiln_telemetry::{ComponentKind, Health, Metrics};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::debug::Printer;
use crate::file::Lines;
use crate::otlp_grpc::OtlpGrpc;
use crate::otlp_http::OtlpHttp;
use crate::prometheus::{Exposition, ListenError, Listening};
use crate::queue::SYNC_INTERVAL;
use crate::queue::{DiskQueue, MemoryQueue, NotTaken, Queue, Staged, Storage, StorageError, Unit};
use crate::report::{Items, Report};
use crate::retry::{InvalidRetry, RetryPolicy};
use crate::route::InvalidRoute;
use crate::target::Target;
use crate::worker::{Deadline, Outlet, Shop, stopping};

/// What is on a page or on a terminal does not wait long.
const UNCONFIGURED_QUEUE: usize = 16;

/// A checked exporter that is not running yet.
#[derive(Debug)]
pub struct Exporter {
    id: String,
    outlet: Outlet,
    queue_size: usize,
    sizer: Sizer,
    storage: Option<kiln_config::Storage>,
    /// Where it is to listen, if it does.
    endpoint: Option<SocketAddr>,
    listening: Option<Listening>,
}

/// An exporter whose address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("exporter `{id}`: {source}; it is configured at `exporters.{id}.endpoint`")]
pub struct NotListening {
    id: String,
    #[source]
    source: ListenError,
}

/// An exporter that cannot be run with its settings.
#[derive(Debug, thiserror::Error)]
#[error("exporter `{id}` cannot be used: {problem}; it is configured at `exporters.{id}`")]
pub struct InvalidExporter {
    id: String,
    #[source]
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("`retry_on_failure`: {0}")]
    Retry(#[from] InvalidRetry),
    #[error(transparent)]
    Otlp(#[from] InvalidRoute),
}

impl Exporter {
    /// Checks the settings of an exporter.
    ///
    /// # Errors
    ///
    /// When a header cannot be sent, or the retry settings describe no back-off.
    pub fn new(id: &ComponentId, kind: &ExporterKind) -> Result<Self, InvalidExporter> {
        let id = id.to_string();
        Self::build(&id, kind).map_err(|problem| InvalidExporter { id, problem })
    }

    fn build(id: &str, kind: &ExporterKind) -> Result<Self, Problem> {
        let id = id.to_owned();
        let (target, retry) = match kind {
            ExporterKind::OtlpHttp(settings) => {
                (Target::OtlpHttp(Box::new(OtlpHttp::new(settings)?)), RetryPolicy::new(&settings.retry)?)
            }
            ExporterKind::OtlpGrpc(settings) => {
                (Target::OtlpGrpc(Box::new(OtlpGrpc::new(settings)?)), RetryPolicy::new(&settings.retry)?)
            }
            ExporterKind::File(settings) => (Target::File(Lines::new(settings)), RetryPolicy::new(&settings.retry)?),
            ExporterKind::Prometheus(settings) => (Target::Prometheus(Exposition::new(settings)), RetryPolicy::NEVER),
            ExporterKind::Debug(settings) => {
                (Target::Debug(Printer::to_stdout(settings.verbosity)), RetryPolicy::NEVER)
            }
        };
        let workers = match kind {
            ExporterKind::OtlpHttp(_) | ExporterKind::OtlpGrpc(_) => {
                kind.queue().map_or(1, |queue| queue.num_consumers)
            }
            // One thing that is written to, in the order batches come.
            ExporterKind::File(_) | ExporterKind::Prometheus(_) | ExporterKind::Debug(_) => 1,
        };
        let endpoint = match kind {
            ExporterKind::Prometheus(settings) => Some(settings.endpoint),
            _ => None,
        };
        Ok(Self {
            id,
            outlet: Outlet { target, retry, workers, batching: kind.queue().and_then(|queue| queue.batch) },
            queue_size: kind.queue().map_or(UNCONFIGURED_QUEUE, |queue| queue.queue_size),
            sizer: kind.queue().map_or(Sizer::Requests, |queue| queue.sizer),
            storage: kind.queue().and_then(|queue| queue.storage.clone()),
            endpoint,
            listening: None,
        })
    }

    /// Takes the address it is to listen on, if it listens on any. Without it, nobody can read what it shows.
    ///
    /// # Errors
    /// The address is taken, or not one of this machine.
    pub fn listen(&mut self) -> Result<(), NotListening> {
        if let Some(endpoint) = self.endpoint {
            let bound = Listening::bind(endpoint);
            self.listening = Some(bound.map_err(|source| NotListening { id: self.id.clone(), source })?);
        }
        Ok(())
    }

    /// Where it listens, with the port that was picked.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.listening.as_ref()?.address().ok()
    }

    /// The exporter's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Opens the exporter's queue if that is on disk. Blocks while what is there is read.
    ///
    /// `committed` is the last complete collection of an instance, `None` if that is not known.
    ///
    /// # Errors
    /// Another process uses it, or the system refuses.
    pub fn open_storage(&self, committed: &dyn Fn(&str) -> Option<u64>) -> Result<Option<Storage>, StorageError> {
        let open = |settings| Storage::open(&self.id, settings, self.queue_size, committed);
        self.storage.as_ref().map(open).transpose()
    }

    /// Starts the workers, on the runtime that is current, with the queue on disk or else one in memory. What they make of
    /// batches is counted in `memory`.
    ///
    /// What is in a queue in memory when the last handle is dropped is lost uncounted; call [`ExporterHandle::drain`]
    /// first.
    #[must_use]
    pub fn start(
        self,
        storage: Option<Storage>,
        memory: &Memory,
        metrics: &Metrics,
        health: &Health,
    ) -> ExporterHandle {
        let component = health.component(ComponentKind::Exporter, &self.id);
        let exporter_metrics = metrics.exporter(&self.id);
        let storage_metrics = || metrics.storage(&self.id);
        let report = Arc::new(Report::new(self.id.clone(), exporter_metrics.clone(), component));
        let queue = match storage {
            None => Queue::Memory(Box::new(MemoryQueue::new(self.queue_size, self.sizer, exporter_metrics))),
            Some(storage) => {
                let (memory, report) = (memory.clone(), Arc::clone(&report));
                Queue::Disk(DiskQueue::new(storage, memory, exporter_metrics, storage_metrics(), report))
            }
        };
        let (outlet, _) = watch::channel(Arc::new(self.outlet));
        let shop = Arc::new(Shop {
            queue,
            gathering: tokio::sync::Mutex::default(),
            outlet,
            report,
            memory: memory.clone(),
            workers: AtomicUsize::new(0),
        });
        let (stop, stop_seen) = watch::channel(None);
        let mut tasks = JoinSet::new();
        if let Queue::Disk(queue) = &shop.queue {
            tasks.spawn(sync_now_and_then(Arc::clone(queue), stop_seen));
        }
        let mut server = JoinSet::new();
        if let Some(listening) = self.listening {
            let current = shop.outlet.subscribe();
            let exposition = move || match &current.borrow().target {
                Target::Prometheus(exposition) => Some(exposition.clone()),
                _ => None,
            };
            server.spawn(listening.serve(exposition, metrics.page(&self.id)));
        }
        let handle = ExporterHandle {
            shop,
            stop: Arc::new(stop),
            tasks: Arc::new(Mutex::new(Some(tasks))),
            server: Arc::new(Mutex::new(server)),
        };
        handle.employ();
        handle
    }
}

async fn sync_now_and_then(queue: Arc<DiskQueue>, mut stop: Deadline) {
    while tokio::time::timeout(SYNC_INTERVAL, stopping(&mut stop)).await.is_err() {
        queue.sync().await;
    }
}

/// A running exporter. Clones share it.
#[derive(Clone, Debug)]
pub struct ExporterHandle {
    shop: Arc<Shop>,
    stop: Arc<watch::Sender<Option<Instant>>>,
    /// Workers, and what else runs for the exporter; `None` once it was drained.
    tasks: Arc<Mutex<Option<JoinSet<()>>>>,
    /// Shows what there is to show, until the exporter is drained.
    server: Arc<Mutex<JoinSet<()>>>,
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// Items that were in the exporter and did not reach the backend in time. They are counted as `shutdown` too.
    pub undelivered: Items,
}

impl ExporterHandle {
    /// The exporter's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.shop.report.id()
    }

    /// Whether what it has taken outlives the process.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        matches!(self.shop.queue, Queue::Disk(_))
    }

    /// Hands over a batch that is complete in itself, waiting while the queue is full. A batch without items is nothing to
    /// send and is dropped.
    ///
    /// Cancelling the wait leaves nothing behind.
    ///
    /// # Errors
    /// The batch was not taken: whoever has it must not count it as delivered.
    pub async fn enqueue(&self, batch: Batch) -> Result<(), NotTaken> {
        self.stage(&Unit::none(), vec![batch], &|| {}).await.map(Staged::release)
    }

    /// Hands over the batches of a collection, waiting while the queue is full. A queue on disk keeps them to itself until
    /// they are released; one in memory cannot and has them sent at once. `waits` is told, more than once perhaps, if there is
    /// no room yet.
    ///
    /// # Errors
    /// The exporter is stopping, or its queue cannot be written. A queue in memory may have taken some of the batches.
    pub async fn stage(&self, unit: &Unit, batches: Vec<Batch>, waits: &(dyn Fn() + Sync)) -> Result<Staged, NotTaken> {
        let mut batches = batches;
        batches.retain(|batch| batch.items > 0);
        if batches.is_empty() {
            return Ok(Staged::default());
        }
        let offered: Vec<_> = batches.iter().map(|batch| (batch.signal, batch.items)).collect();
        let mut taken = 0;
        let result = match &self.shop.queue {
            Queue::Disk(queue) => queue.stage(unit, &batches, waits).await,
            Queue::Memory(queue) => {
                let mut result = Ok(Staged::default());
                for batch in batches {
                    if let Err(closed) = queue.push(batch, waits).await {
                        result = Err(closed.into());
                        break;
                    }
                    taken += 1;
                }
                result
            }
        };
        if let Err(error) = &result {
            let refused = offered.into_iter().skip(taken);
            refused.for_each(|(signal, items)| self.shop.report.refused(signal, items, error));
        }
        result
    }

    /// Whether [`Self::enqueue`] would wait.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.shop.queue.is_full()
    }

    /// Sends from now on as `exporter` says. What waits stays where it waits, in the queue there is; an attempt that is under
    /// way is finished, and what has not arrived by then is sent the new way.
    pub fn replace(&self, exporter: Exporter) {
        self.shop.outlet.send_replace(Arc::new(exporter.outlet));
        self.employ();
    }

    /// Starts the workers that are missing. Those that are too many go by themselves, with their next batch.
    fn employ(&self) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(tasks) = tasks.as_mut() else { return };
        let wanted = self.shop.outlet.borrow().workers.max(1);
        // Collects those that have gone.
        while tasks.try_join_next().is_some() {}
        while self.shop.workers.load(Ordering::Relaxed) < wanted {
            self.shop.workers.fetch_add(1, Ordering::Relaxed);
            let (shop, stop) = (Arc::clone(&self.shop), self.stop.subscribe());
            tasks.spawn(async move { shop.work(stop).await });
        }
    }

    /// Takes no more batches, sends the rest until the deadline, then gives up.
    ///
    /// Retries go on, but a wait that would end after the deadline is cut short for one last attempt, unless the backend
    /// has asked to be left alone. A request under way at the deadline is cancelled and counts as undelivered, although
    /// the backend may have taken it. What a queue on disk holds at the deadline stays there and is not lost. Returns at the deadline or before; again at once when called again.
    pub async fn drain(&self, deadline: Instant) -> DrainReport {
        // Before the queue is closed, so that no worker takes up a batch without knowing of the deadline.
        self.stop.send_replace(Some(deadline));
        self.shop.queue.close();
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut tasks) = tasks else {
            return DrainReport { undelivered: self.shop.report.undelivered() };
        };
        while tasks.join_next().await.is_some() {}
        self.server.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        if let Queue::Disk(queue) = &self.shop.queue {
            queue.sync().await;
            self.shop.report.kept(queue.len().await);
        }
        DrainReport { undelivered: self.shop.report.stopped() }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
pub(crate) mod tests;
