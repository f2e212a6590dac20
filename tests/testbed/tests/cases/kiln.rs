//! The process under test.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::arrival::Arrival;
use crate::case::Case;
use crate::expected;
use crate::world::World;

/// Far more than anything here takes; reached only by what never comes.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Kiln {
    child: Child,
    stderr: Lines,
    stdout: Lines,
    readers: Vec<JoinHandle<()>>,
    ended: Option<i32>,
    exit: Option<i32>,
}

/// Lines as they come, and a way to wait for one.
#[derive(Clone, Default)]
struct Lines(Arc<(Mutex<Printed>, Condvar)>);

#[derive(Default)]
struct Printed {
    text: String,
    ended: bool,
}

impl Lines {
    fn collect(&self, from: impl std::io::Read + Send + 'static) -> JoinHandle<()> {
        let lines = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines() {
                let Ok(line) = line else { break };
                let mut printed = lines.0.0.lock().unwrap();
                printed.text.push_str(&line);
                printed.text.push('\n');
                lines.0.1.notify_all();
            }
        })
    }

    fn text(&self) -> String {
        self.0.0.lock().unwrap().text.clone()
    }

    fn wait_for(&self, wanted: &str) -> Result<(), String> {
        let (printed, changed) = &*self.0;
        let missing = |printed: &mut Printed| !printed.ended && !printed.text.contains(wanted);
        let (printed, _) = changed.wait_timeout_while(printed.lock().unwrap(), PATIENCE, missing).unwrap();
        if printed.text.contains(wanted) { Ok(()) } else { Err(format!("this was not printed: {wanted}")) }
    }
}

impl Kiln {
    pub(crate) fn start(case: &Case, world: &World) -> Result<Self, String> {
        let binary =
            std::env::var("KILN_BIN").map_err(|_| "KILN_BIN is not set: run `scripts/test cases`".to_owned())?;
        let mut child = Command::new(&binary)
            .args(&case.arguments)
            .current_dir(world.folder.path())
            .env_clear()
            .envs(world.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{binary}: {error}"))?;
        let (stdout, stderr) = (Lines::default(), Lines::default());
        let readers = vec![stdout.collect(child.stdout.take().unwrap()), stderr.collect(child.stderr.take().unwrap())];
        Ok(Self { child, stderr, stdout, readers, ended: None, exit: case.exit })
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits for everything the case promises.
    pub(crate) fn meet(&mut self, case: &Case, world: &World, folder: &Path) -> Result<(), String> {
        if case.exit.is_some() {
            self.wait_for_end()?;
            self.read_to_the_end();
        }
        if !case.points.is_empty() || !case.traces.is_empty() {
            let sink = world.sink.as_ref().ok_or("a case that expects telemetry needs a [sink]")?;
            if sink.wait_for(PATIENCE, |telemetry| expected::missing(telemetry, case).is_none()).is_err() {
                let telemetry = sink.telemetry();
                if let Some(missing) = expected::missing(&telemetry, case) {
                    return Err(format!("did not arrive: {missing}\narrived:\n{}", telemetry.summary()));
                }
            }
        }
        if let Some(file) = &case.arrives {
            let sink = world.sink.as_ref().ok_or("a case in which something arrives needs a [sink]")?;
            Arrival::read(&folder.join(file))?.wait(sink, PATIENCE)?;
        }
        for wanted in &case.stderr {
            self.stderr.wait_for(wanted)?;
        }
        for wanted in &case.stdout {
            self.stdout.wait_for(wanted)?;
        }
        for wanted in &case.readyz {
            self.wait_for_page("/readyz", |page| page.contains(wanted), wanted)?;
        }
        for wanted in &case.metrics {
            self.wait_for_page("/metrics", |page| page.lines().any(|line| line.starts_with(wanted)), wanted)?;
        }
        for wanted in &case.stderr_once {
            self.stderr.wait_for(wanted)?;
            let lines = self.stderr.text().lines().filter(|line| line.contains(wanted)).count();
            if lines != 1 {
                return Err(format!("this was printed in {lines} lines: {wanted}"));
            }
        }
        if let Some(sink) = &world.sink {
            let telemetry = sink.telemetry();
            if let Some(unwanted) =
                case.points_without.iter().find(|metric| telemetry.points_of(metric).next().is_some())
            {
                return Err(format!("points of this must not arrive: {unwanted}"));
            }
        }
        match case.stderr_without.iter().find(|unwanted| self.stderr.text().contains(*unwanted)) {
            Some(unwanted) => Err(format!("this must not be printed: {unwanted}")),
            None => Ok(()),
        }
    }

    /// Stops the process unless it has ended, and checks its exit code.
    pub(crate) fn stop(&mut self) -> Result<(), String> {
        if self.ended.is_none() && self.child.try_wait().ok().flatten().is_none() {
            let pid = self.child.id().to_string();
            let _ = Command::new("kill").args(["-TERM", &pid]).status();
        }
        let ended = self.wait_for_end();
        let _ = self.child.kill();
        self.read_to_the_end();
        ended?;
        let wanted = self.exit.unwrap_or(0);
        match self.ended {
            Some(code) if code == wanted => Ok(()),
            code => Err(format!("ended with {code:?} instead of {wanted}")),
        }
    }

    /// After the process has ended, nothing more can be printed: what is missing then will not come.
    fn read_to_the_end(&mut self) {
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        for lines in [&self.stdout, &self.stderr] {
            lines.0.0.lock().unwrap().ended = true;
        }
    }

    fn wait_for_end(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while self.ended.is_none() {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                self.ended = Some(status.code().unwrap_or(-1));
            } else if Instant::now() > deadline {
                return Err("kiln does not end".to_owned());
            } else {
                std::thread::park_timeout(Duration::from_millis(10));
            }
        }
        Ok(())
    }

    fn wait_for_page(&self, path: &str, satisfied: impl Fn(&str) -> bool, wanted: &str) -> Result<(), String> {
        self.stderr.wait_for("address=")?;
        let log = self.stderr.text();
        let after = log.split("address=").nth(1).unwrap_or_default();
        let address: String =
            after.trim_start_matches('"').chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let page = get(&address, path).unwrap_or_default();
            if satisfied(&page) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{path} does not say: {wanted}\nit says:\n{page}"));
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }
}

fn get(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}
