"""What the sandbox costs: a parser outside of a component and inside of one, by turns.

A turn of the component is a collection of a running Kiln, with all its limits on: everything the process does between one
collection and the next counts, the records it emits, their way to the backend and the ticks included. Compared is
processor time, as the kernel accounts it, so that other processes do not matter.
"""

import argparse
import glob
import http.server
import queue
import statistics
import subprocess
import threading

CONFIGURATION = """
plugins_dir: {plugins}
receivers:
  parser:
    rounds: {rounds}
    collection_interval: {interval}s
    initial_delay: 0s
    timeout: 60s
    limits: {{ cpu: 30s, memory: 16MiB }}
exporters:
  otlp_http: {{ endpoint: "http://127.0.0.1:{port}", compression: none }}
service:
  pipelines:
    metrics: {{ receivers: [parser], exporters: [otlp_http] }}
"""


class Backend(http.server.BaseHTTPRequestHandler):
    """Accepts everything; what matters is when it comes."""

    arrivals: queue.Queue = queue.Queue()

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()
        self.arrivals.put(None)

    def log_message(self, *_):
        pass


def processor_seconds(pid):
    """Processor time of all threads of a process, those that have ended left out: Kiln's do not."""
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with open(path, encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def native_turn(program, rounds):
    program.stdin.write(f"{rounds}\n")
    program.stdin.flush()
    nanos, samples, size = program.stdout.readline().split()
    return int(nanos) / 1e9, int(samples), int(size)


def row(name, values, unit):
    print(f"{name:<32} {min(values):>10.3f} {statistics.median(values):>10.3f} {max(values):>10.3f}  {unit}")


def by_turns(scratch, kiln, plugins, native, pairs, rounds):
    """Seconds of processor time outside and inside, pair by pair, and the megabytes that were read in each."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    outside_program = subprocess.Popen([native], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    # The first turn says how long one takes; a collection has four times that until the next one is due.
    once, _, size = native_turn(outside_program, rounds)
    interval = max(1, round(once * 4))
    configuration = f"{scratch}/sandbox.yaml"
    with open(configuration, "w", encoding="utf-8") as file:
        file.write(CONFIGURATION.format(plugins=plugins, rounds=rounds, interval=interval, port=server.server_port))
    with open(f"{scratch}/kiln.log", "w", encoding="utf-8") as log:
        inside_program = subprocess.Popen([kiln, "run", "--config", configuration], stdout=log, stderr=log)
    outside, inside = [], []
    try:
        # The first collection warms up.
        Backend.arrivals.get(timeout=120)
        before = processor_seconds(inside_program.pid)
        for _ in range(pairs):
            outside.append(native_turn(outside_program, rounds)[0])
            Backend.arrivals.get(timeout=120)
            now = processor_seconds(inside_program.pid)
            inside.append(now - before)
            before = now
    finally:
        inside_program.terminate()
        outside_program.stdin.close()
        inside_program.wait(timeout=60)
        outside_program.wait(timeout=60)
        server.shutdown()
    return outside, inside, size * rounds / 1e6


def main():
    parser = argparse.ArgumentParser()
    for name in ("--scratch", "--kiln", "--plugins", "--native"):
        parser.add_argument(name, required=True)
    parser.add_argument("--pairs", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    arguments = parser.parse_args()
    outside, inside, megabytes = by_turns(
        arguments.scratch, arguments.kiln, arguments.plugins, arguments.native, arguments.pairs, arguments.rounds
    )
    print(f"{megabytes:.0f} MB a turn, {arguments.pairs} pairs")
    print(f"{'':<32} {'min':>10} {'median':>10} {'max':>10}")
    row("outside of a component", outside, "s of processor time")
    row("inside, limits on, all of Kiln", inside, "s of processor time")
    row("inside / outside, pair by pair", [b / a for a, b in zip(outside, inside)], "times")
    row("outside", [megabytes / seconds for seconds in outside], "MB/s")
    row("inside", [megabytes / seconds for seconds in inside], "MB/s")


if __name__ == "__main__":
    main()
