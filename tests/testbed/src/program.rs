//! A program under test: what it prints as it prints it, and how it ends.
//!
//! Invariant: a program never outlives its handle, and nobody waits for a line that cannot come any more: when a program
//! closes what it prints to, waiting ends.

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What a program has printed to one of its outputs. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Printed(Arc<(Mutex<Text>, Condvar)>);

#[derive(Debug, Default)]
struct Text {
    text: String,
    closed: bool,
}

impl Printed {
    fn collect(&self, from: impl Read + Send + 'static) -> JoinHandle<()> {
        let printed = self.clone();
        std::thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut line = Vec::new();
            while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                printed.lock().text.push_str(&String::from_utf8_lossy(&line));
                printed.0.1.notify_all();
                line.clear();
            }
            printed.lock().closed = true;
            printed.0.1.notify_all();
        })
    }

    fn lock(&self) -> MutexGuard<'_, Text> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of it so far.
    #[must_use]
    pub fn text(&self) -> String {
        self.lock().text.clone()
    }

    /// Waits until `found` finds something in what was printed.
    ///
    /// # Errors
    /// It was not there after `patience`, or when the program had ended.
    pub fn wait_for<T>(&self, patience: Duration, mut found: impl FnMut(&str) -> Option<T>) -> Result<T, String> {
        let deadline = Instant::now() + patience;
        let mut printed = self.lock();
        loop {
            if let Some(found) = found(&printed.text) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if printed.closed || left.is_zero() {
                return Err(format!("this is all that was printed:\n{}", printed.text));
            }
            printed = self.0.1.wait_timeout(printed, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A running program, killed when dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    stdout: Printed,
    stderr: Printed,
    readers: Vec<JoinHandle<()>>,
}

impl Program {
    /// Starts it with nothing on standard input.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (stdout, stderr) = (Printed::default(), Printed::default());
        let mut readers = Vec::new();
        readers.extend(child.stdout.take().map(|from| stdout.collect(from)));
        readers.extend(child.stderr.take().map(|from| stderr.collect(from)));
        Ok(Self { child, stdout, stderr, readers })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it prints to standard output.
    #[must_use]
    pub fn stdout(&self) -> &Printed {
        &self.stdout
    }

    /// What it prints to standard error.
    #[must_use]
    pub fn stderr(&self) -> &Printed {
        &self.stderr
    }

    /// Whether it runs still.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends it a signal, by name as in `TERM`.
    ///
    /// # Errors
    /// There is no way to send signals.
    pub fn signal(&self, name: &str) -> io::Result<()> {
        Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().map(drop)
    }

    /// The code it ends with, or -1 after a signal, with everything it printed read.
    ///
    /// # Errors
    /// It did not end in time, and was killed.
    pub fn wait(&mut self, patience: Duration) -> Result<i32, String> {
        let deadline = Instant::now() + patience;
        let code = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break Ok(status.code().unwrap_or(-1)),
                Ok(None) if Instant::now() < deadline => std::thread::park_timeout(Duration::from_millis(5)),
                Ok(None) => {
                    let _ = self.child.kill();
                    break Err(format!("it did not end within {patience:?}"));
                }
                Err(error) => break Err(error.to_string()),
            }
        };
        // What a grandchild keeps open would be waited for for ever.
        if code.is_ok() {
            for reader in self.readers.drain(..) {
                let _ = reader.join();
            }
        }
        code
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A page of an HTTP server, head and all.
///
/// # Errors
/// Nobody answers.
pub fn get(address: &str, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut page = Vec::new();
    stream.read_to_end(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
