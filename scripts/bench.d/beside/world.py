"""What both sides have in common: the pages they scrape, the backend they send to, and the core they run on."""

import gzip
import http.server
import json
import os
import signal
import subprocess
import threading
import time
import urllib.request

# Everything is on this machine, whatever proxy the environment names.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
PATIENCE = 120
# What Prometheus' scraping adds to what a page has: up, and four numbers about the scrape itself.
ABOUT_A_SCRAPE = 5


def fetch(url, method="GET"):
    with OPENER.open(urllib.request.Request(url, method=method), timeout=PATIENCE) as answer:
        return answer.read()


def await_that(what, condition, pause=0.02):
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {PATIENCE} s in vain for {what}")
        time.sleep(pause)
    return found


class Target:
    """Serves one page to whoever asks, compressed if they like, and counts."""

    def __init__(self, page):
        compressed = gzip.compress(page, 6)
        self.page = page
        self.samples = sum(1 for line in page.splitlines() if line and not line.startswith(b"#"))
        self.changed = threading.Condition()
        self.answered = 0
        target = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                takes_gzip = "gzip" in self.headers.get("accept-encoding", "")
                body = compressed if takes_gzip else page
                self.send_response(200)
                self.send_header("content-type", "text/plain; version=0.0.4; charset=utf-8")
                if takes_gzip:
                    self.send_header("content-encoding", "gzip")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                with target.changed:
                    target.answered += 1
                    target.changed.notify_all()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                """A side that was ended does not read its answer to the end."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def forget(self):
        self.answered = 0

    def await_answered(self, scrapes, running):
        with self.changed:
            deadline = time.monotonic() + PATIENCE
            while self.answered < scrapes:
                running.alive()
                if time.monotonic() > deadline:
                    raise SystemExit(f"waited {PATIENCE} s in vain for {scrapes} scrapes; there were {self.answered}")
                self.changed.wait(timeout=0.5)

    @property
    def items_of_a_scrape(self):
        return self.samples + ABOUT_A_SCRAPE


class Backend:
    """The sink of the tests, which decodes everything and keeps nothing but counts."""

    def __init__(self, program, core):
        self.process = subprocess.Popen(
            [program, "--count-only"], stdout=subprocess.PIPE, text=True, preexec_fn=lambda: pin(core)
        )
        self.url = self.process.stdout.readline().split()[-1]

    def requests(self):
        return json.loads(fetch(f"{self.url}/-/telemetry?metric=none"))["requests"]

    def items(self):
        return sum(request["items"] for request in self.requests())

    def wire_bytes(self):
        return sum(request["wire_bytes"] for request in self.requests())

    def forget(self):
        fetch(f"{self.url}/-/telemetry", "DELETE")

    def end(self):
        self.process.terminate()
        self.process.wait()


def pin(core):
    os.sched_setaffinity(0, {core})


class Running:
    """A side at work, on a core of its own."""

    def __init__(self, command, core, log):
        self.log = log
        self.began = time.monotonic()
        with open(log, "w", encoding="utf-8") as file:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, preexec_fn=lambda: pin(core)
            )
        self.pid = self.process.pid

    def processor_seconds(self):
        """Of all threads that there are and were, and of children that have ended."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        children = (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
        # The clock of another process, as clock_getcpuclockid(3) gives it: nanoseconds, where stat has hundredths.
        return time.clock_gettime((~self.pid << 3) | 2) + children

    def memory(self, field):
        """VmRSS or VmHWM, in bytes."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            lines = dict(line.split(":", 1) for line in status)
        return int(lines[field].split()[0]) * 1024

    def alive(self):
        if self.process.poll() is not None:
            with open(self.log, encoding="utf-8") as log:
                raise SystemExit(f"it ended by itself with {self.process.returncode}:\n{log.read()[-3000:]}")
        return True

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
