"""What both sides have in common: the pages they scrape, the backend they send to, and the core they run on."""

import gzip
import http.server
import itertools
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
# Who needs less than a twentieth of the core for so many seconds has nothing to do.
SETTLED = 0.1
# What Prometheus' scraping adds to what a page has: up, and four numbers about the scrape itself.
ABOUT_A_SCRAPE = 5


class Failed(Exception):
    """What was measured is worth nothing; the sentence says why."""


def fetch(url, method="GET"):
    with OPENER.open(urllib.request.Request(url, method=method), timeout=PATIENCE) as answer:
        return answer.read()


def await_that(what, condition, pause=0.02):
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise Failed(f"waited {PATIENCE} s in vain for {what}")
        time.sleep(pause)
    return found


class Target:
    """Serves the versions of one page in turn to whoever asks, compressed if they like, and counts.

    `samples` are the lines with a value, `points` what they become: the lines of a histogram or summary are one.
    """

    def __init__(self, versions, points=None):
        answers = itertools.cycle([(version, gzip.compress(version, 6)) for version in versions])
        self.bytes = len(versions[0])
        self.samples = sum(1 for line in versions[0].splitlines() if line and not line.startswith(b"#"))
        self.points = self.samples if points is None else points
        self.changed = threading.Condition()
        self.answered = 0
        self.first_answered = None
        self.open = threading.Event()
        self.open.set()
        target = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                target.open.wait()
                takes_gzip = "gzip" in self.headers.get("accept-encoding", "")
                with target.changed:
                    body = next(answers)[takes_gzip]
                coding = "content-encoding: gzip\r\n" if takes_gzip else ""
                head = (
                    "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"
                    f"{coding}content-length: {len(body)}\r\n\r\n"
                )
                self.wfile.write(head.encode() + body)
                with target.changed:
                    target.answered += 1
                    target.first_answered = target.first_answered or time.monotonic()
                    target.changed.notify_all()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

            def handle_error(self, *_):
                """A side that was ended does not read its answer to the end."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def forget(self):
        self.open.set()
        self.answered, self.first_answered = 0, None

    def hold(self):
        """Answers nobody any more, who asks next has to wait."""
        self.open.clear()

    def await_answered(self, scrapes, running):
        with self.changed:
            deadline = time.monotonic() + PATIENCE
            while self.answered < scrapes:
                running.check_alive()
                if time.monotonic() > deadline:
                    raise Failed(f"waited {PATIENCE} s in vain for {scrapes} scrapes; there were {self.answered}")
                self.changed.wait(timeout=0.5)

    @property
    def points_of_a_scrape(self):
        return self.points + ABOUT_A_SCRAPE

    def end(self):
        self.open.set()
        self.server.shutdown()
        self.server.server_close()


class Backend:
    """The sink of the tests, which decodes everything and keeps nothing but counts, unless it is told to."""

    def __init__(self, program, keeps=False):
        self.process = subprocess.Popen([program] if keeps else [program, "--count-only"], stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().split()[-1]

    def counts(self):
        return json.loads(fetch(f"{self.url}/-/counts"))

    def items(self):
        return self.counts()["items"]

    def requests(self):
        """What is known of each; for a sink that keeps what it is sent."""
        return json.loads(fetch(f"{self.url}/-/telemetry?metric=none"))["requests"]

    def forget(self):
        fetch(f"{self.url}/-/telemetry", "DELETE")

    def end(self):
        self.process.terminate()
        self.process.wait()


class Running:
    """A side at work, with its children, on a core of its own."""

    def __init__(self, command, core, log):
        self.log, self.core = log, core
        self.began = time.monotonic()
        with open(log, "w", encoding="utf-8") as file:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, preexec_fn=self.pin, start_new_session=True
            )

    def pin(self):
        os.sched_setaffinity(0, {self.core})

    def tree(self):
        """The process and all that descend from it, as they are now."""
        found = [self.process.pid]
        for pid in found:
            try:
                for task in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as children:
                        found.extend(int(child) for child in children.read().split())
            except OSError:
                continue
        return found

    def processor_seconds(self):
        """User and system time of the whole tree: of every thread there is or was, and of children that have ended."""
        total = 0.0
        for pid in self.tree():
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
                    fields = stat.read().rsplit(")", 1)[1].split()
                # The clock of another process, as clock_getcpuclockid(3) gives it: nanoseconds, where stat has hundredths.
                total += time.clock_gettime((~pid << 3) | 2)
                total += (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
            except OSError:
                continue
        return total

    def settle(self, seconds):
        """Until it has nothing to do any more, or for so long."""
        deadline, used = time.monotonic() + seconds, self.processor_seconds()
        while time.monotonic() < deadline:
            time.sleep(SETTLED)
            if (now := self.processor_seconds()) - used < SETTLED / 20:
                break
            used = now

    def memory(self, field):
        """VmRSS or VmHWM of the whole tree, in MiB."""
        total = 0
        for pid in self.tree():
            try:
                with open(f"/proc/{pid}/status", encoding="ascii") as status:
                    lines = dict(line.split(":", 1) for line in status)
                total += int(lines[field].split()[0])
            except (OSError, KeyError):
                continue
        return total / 1024

    def log_says(self, text):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return text in log.read()

    def check_alive(self):
        """Without waiting for it: who waits for a process takes its times away."""
        if os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            raise Failed(f"it ended by itself:\n{self.last_words()}")
        return True

    def last_words(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()[-2000:]

    def end(self):
        """Tells it to end, and gives the processor time of its whole life as the kernel accounts for it."""
        os.kill(self.process.pid, signal.SIGTERM)
        killer = threading.Timer(60, self.process.kill)
        killer.start()
        _, status, usage = os.wait4(self.process.pid, 0)
        killer.cancel()
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return usage.ru_utime + usage.ru_stime
