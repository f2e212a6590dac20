//! The harness's implementation of the imports.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
#[cfg(feature = "files")]
use std::path::PathBuf;
use std::rc::Rc;

#[cfg(feature = "files")]
use kiln_policy::Reach;
use kiln_policy::{Grants, Manifest, Policy, ProcessorDeclaration, Setting};
use serde_json::{Value, json};
use url::Url;

use super::declared::Declarations;
use super::owned;
use super::script::{Answer, Script};
#[cfg(feature = "files")]
use crate::files::FileError;
use crate::host::Level;
use crate::http::{HttpError, Method, Opened, Request, Response};
use crate::imports::Imports;
use crate::state::StoreError;
use crate::telemetry::{Attribute, EmitError, ResourceLogs, ResourceMetrics, ResourceSpans, borrowed};
use crate::time::UnixNanos;

/// 2026-01-01T00:00:00Z.
const NEW_YEAR_2026: UnixNanos = UnixNanos::from_millis(1_767_225_600_000);

/// So many bodies an instance may have open at once, as the contract says.
const OPEN_BODIES: usize = 8;

/// One message to the operator.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// How urgent it is.
    pub level: Level,
    /// The sentence.
    pub message: String,
    /// What came with it.
    pub attributes: Vec<Attribute>,
}

#[derive(Default)]
pub(super) struct Store {
    committed: BTreeMap<String, Vec<u8>>,
    current: BTreeMap<String, Vec<u8>>,
}

impl Store {
    pub(super) fn committed(&self, key: &str) -> Option<&[u8]> {
        self.committed.get(key).map(Vec::as_slice)
    }

    pub(super) fn all(&self) -> BTreeMap<String, Vec<u8>> {
        self.committed.clone()
    }

    pub(super) fn replace(&mut self, all: BTreeMap<String, Vec<u8>>) {
        self.committed = all;
    }

    pub(super) fn put(&mut self, key: &str, value: Vec<u8>) {
        self.committed.insert(key.to_owned(), value);
    }
}

pub(crate) struct World {
    declarations: Declarations,
    policy: RefCell<Policy>,
    pub(super) script: RefCell<Script>,
    pub(super) state: RefCell<Store>,
    pub(super) log: RefCell<Vec<LogLine>>,
    pub(super) now: Cell<UnixNanos>,
    /// Never goes back, whatever the clock is set to.
    pub(super) monotonic: Cell<u64>,
    /// Bytes of state, keys and values.
    pub(super) state_limit: Cell<usize>,
    metrics: RefCell<Vec<ResourceMetrics>>,
    spans: RefCell<Vec<ResourceSpans>>,
    logs: RefCell<Vec<ResourceLogs>>,
    /// Held once by each open body.
    open_bodies: Rc<()>,
    has_state: bool,
    processor: Option<ProcessorDeclaration>,
    /// The environment of the host, granted or not.
    #[cfg(feature = "env")]
    pub(super) variables: RefCell<BTreeMap<String, String>>,
    /// What stands for the granted directories.
    #[cfg(feature = "files")]
    pub(super) directories: RefCell<BTreeMap<String, PathBuf>>,
}

impl World {
    pub(super) fn new(manifest: &Manifest) -> Self {
        Self {
            declarations: Declarations::new(manifest.telemetry.clone()),
            policy: RefCell::default(),
            script: RefCell::default(),
            state: RefCell::default(),
            log: RefCell::default(),
            now: Cell::new(NEW_YEAR_2026),
            monotonic: Cell::new(1),
            state_limit: Cell::new(usize::MAX),
            metrics: RefCell::default(),
            spans: RefCell::default(),
            logs: RefCell::default(),
            open_bodies: Rc::default(),
            has_state: manifest.requests.state.is_some(),
            processor: manifest.processor.clone(),
            #[cfg(feature = "env")]
            variables: RefCell::default(),
            #[cfg(feature = "files")]
            directories: RefCell::default(),
        }
    }

    /// What a processor declares that it sees and changes.
    pub(super) const fn processor(&self) -> Option<&ProcessorDeclaration> {
        self.processor.as_ref()
    }

    /// Grants what the manifest requests, with the origins of this configuration.
    pub(super) fn grant(&self, manifest: &Manifest, config: &Value) {
        let setting = |path: &str| Setting::find(config, path);
        let targets = manifest.requests.http.iter().flat_map(|request| {
            request.targets(setting).unwrap_or_else(|error| panic!("the origins cannot be told: {error}"))
        });
        let mut origins: Vec<_> = targets.flat_map(|target| target.origins).collect();
        origins.sort_unstable();
        origins.dedup();
        let http: Vec<Value> = origins
            .iter()
            .map(|origin| json!({ "origin": origin, "addresses": ["public", "private", "loopback"] }))
            .collect();
        let files = manifest.requests.files.iter().map(|request| request.guest.as_str());
        let files: std::collections::BTreeSet<_> = files.collect();
        let files: Vec<Value> = files.into_iter().map(|guest| json!({ "host": guest })).collect();
        let env: Vec<_> = manifest.requests.env.iter().map(|request| request.name.as_str()).collect();
        let grants = json!({ "http": http, "state": self.has_state, "files": files, "env": env });
        let grants: Grants = serde_json::from_value(grants).expect("grants as an operator would write them");
        // Signing in is the host's; a plugin under test could not tell the difference.
        let mut manifest = manifest.clone();
        manifest.requests.http.iter_mut().for_each(|request| request.credential = None);
        let policy = Policy::resolve(&manifest, &grants, false, setting).unwrap_or_else(|errors| {
            let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
            panic!("the manifest's requests cannot be granted: {}", errors.join("; "))
        });
        self.policy.replace(policy);
    }

    pub(super) fn begin(&self) {
        let store = &mut *self.state.borrow_mut();
        store.current = store.committed.clone();
    }

    pub(super) fn finish(&self, success: bool) -> (Vec<ResourceMetrics>, Vec<ResourceSpans>, Vec<ResourceLogs>) {
        if success {
            let store = &mut *self.state.borrow_mut();
            store.committed = std::mem::take(&mut store.current);
        }
        (self.metrics.take(), self.spans.take(), self.logs.take())
    }

    /// Judges a request as the host does, and finds what it is answered with.
    fn answer(&self, request: &Request) -> Result<Answer, HttpError> {
        let url = Url::parse(&request.url).map_err(|error| HttpError::InvalidRequest(error.to_string()))?;
        let method = match request.method {
            Method::Get => kiln_policy::Method::Get,
            Method::Head => kiln_policy::Method::Head,
            Method::Post => kiln_policy::Method::Post,
            Method::Put => kiln_policy::Method::Put,
            Method::Patch => kiln_policy::Method::Patch,
            Method::Delete => kiln_policy::Method::Delete,
        };
        self.policy.borrow().check(method, &url).map_err(|denial| HttpError::Denied(denial.to_string()))?;
        Ok(self.script.borrow_mut().answer(request, &url))
    }

    /// The file of this machine that stands for a path, if the manifest's requests reach it so far.
    #[cfg(feature = "files")]
    fn locate(&self, path: &str, needed: Reach) -> Result<PathBuf, FileError> {
        let policy = self.policy.borrow();
        for rule in policy.files() {
            let below = path.strip_prefix(rule.guest.as_str());
            let Some(below) = below.filter(|below| below.is_empty() || below.starts_with('/')) else { continue };
            let names: Vec<_> = below.split('/').filter(|name| !name.is_empty()).collect();
            if rule.reach(&names) < needed {
                break;
            }
            let directories = self.directories.borrow();
            let directory = directories.get(rule.guest.as_str());
            let directory = directory.unwrap_or_else(|| panic!("nothing stands for {}: call on_directory", rule.guest));
            return Ok(names.iter().fold(directory.clone(), |directory, name| directory.join(name)));
        }
        Err(FileError::Denied)
    }

    fn check_state(&self) {
        assert!(self.has_state, "the plugin uses state, but its manifest has no [requests.state]");
    }
}

impl Imports for World {
    fn emit_metrics(&self, batch: &[ResourceMetrics]) -> Result<(), EmitError> {
        self.declarations.check_metrics(batch).map_err(EmitError::Invalid)?;
        self.metrics.borrow_mut().extend_from_slice(batch);
        Ok(())
    }

    fn emit_borrowed_metrics(&self, batch: &[borrowed::ResourceMetrics<'_>]) -> Result<(), EmitError> {
        self.emit_metrics(&batch.iter().map(owned::record).collect::<Vec<_>>())
    }

    fn emit_spans(&self, batch: &[ResourceSpans]) -> Result<(), EmitError> {
        self.declarations.check_spans(batch).map_err(EmitError::Invalid)?;
        self.spans.borrow_mut().extend_from_slice(batch);
        Ok(())
    }

    fn emit_logs(&self, batch: &[ResourceLogs]) -> Result<(), EmitError> {
        self.declarations.check_logs(batch).map_err(EmitError::Invalid)?;
        self.logs.borrow_mut().extend_from_slice(batch);
        Ok(())
    }

    fn send(&self, request: &Request) -> Result<Response, HttpError> {
        self.answer(request)?.whole()
    }

    fn send_all(&self, requests: &[Request]) -> Vec<Result<Response, HttpError>> {
        requests.iter().map(|request| self.send(request)).collect()
    }

    fn open(&self, request: &Request) -> Result<Opened, HttpError> {
        // The world itself holds one more.
        if Rc::strong_count(&self.open_bodies) > OPEN_BODIES {
            return Err(HttpError::InvalidRequest(format!("{OPEN_BODIES} bodies are open already")));
        }
        self.answer(request)?.open(Rc::clone(&self.open_bodies))
    }

    fn state_get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.check_state();
        Ok(self.state.borrow().current.get(key).cloned())
    }

    fn state_set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.check_state();
        let mut state = self.state.borrow_mut();
        let others = state.current.iter().filter(|(other, _)| *other != key);
        let others: usize = others.map(|(key, value)| key.len() + value.len()).sum();
        let size = others + key.len() + value.len();
        if size > self.state_limit.get() {
            return Err(StoreError::Full(format!("state would grow to {size} bytes")));
        }
        state.current.insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    fn state_delete(&self, key: &str) -> Result<(), StoreError> {
        self.check_state();
        self.state.borrow_mut().current.remove(key);
        Ok(())
    }

    fn state_keys(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.check_state();
        Ok(self.state.borrow().current.keys().filter(|key| key.starts_with(prefix)).cloned().collect())
    }

    #[cfg(feature = "env")]
    fn variable(&self, name: &str) -> Option<String> {
        let is_granted = self.policy.borrow().env().iter().any(|granted| granted.as_str() == name);
        if is_granted { self.variables.borrow().get(name).cloned() } else { None }
    }

    #[cfg(feature = "files")]
    fn read_file(&self, path: &str, limit: usize) -> Result<Vec<u8>, FileError> {
        let content = std::fs::read(self.locate(path, Reach::Covered)?)?;
        if content.len() > limit { Err(FileError::TooLarge(limit)) } else { Ok(content) }
    }

    #[cfg(feature = "files")]
    fn list_directory(&self, path: &str) -> Result<Vec<String>, FileError> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.locate(path, Reach::Leads)?)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if self.locate(&format!("{path}/{name}"), Reach::Leads).is_ok() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn log(&self, level: Level, message: &str, attributes: &[Attribute]) {
        let line = LogLine { level, message: message.to_owned(), attributes: attributes.to_vec() };
        self.log.borrow_mut().push(line);
    }

    fn now(&self) -> u64 {
        self.now.get().as_nanos()
    }

    fn monotonic(&self) -> u64 {
        self.monotonic.get()
    }
}

#[cfg(feature = "files")]
impl From<std::io::Error> for FileError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::NotFound,
            std::io::ErrorKind::PermissionDenied => Self::Denied,
            _ => Self::Other(error.to_string()),
        }
    }
}
