"""What a plugin costs in each language: the same receiver, of `plugins/examples`, built, started and run in each.

The receivers read a page of a hundred orders and emit a gauge, a sum and a histogram. Each is built with `kiln plugin build`
and run with `kiln plugin dev`, which holds it to what `kiln run` does; what a collection takes is what the host measures
around the call, with the request in it. The server is here, on this machine, and answers at once.
"""

import argparse
import http.server
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import threading
import time

from beside.report import about

# By language: what it is called, its example, the files an author writes, and how a line of them begins that is no code.
LANGUAGES = {
    "rust": ("Rust", "rust/orders", ["src/**/*.rs"], ("//",)),
    "c": ("C", "c/orders", ["src/plugin.c"], ("//", "/*", "*")),
    "go": ("Go", "go/orders", ["*.go", "*/*.go"], ("//",)),
    "javascript": ("JavaScript", "javascript/orders", ["*.js"], ("//",)),
    "javascript-fetch": ("JavaScript, fetch", "javascript/orders-fetch", ["*.js"], ("//",)),
    "python": ("Python", "python/orders", ["app.py"], ("#",)),
}
# How the table names what is measured, and with how many digits.
COLUMNS = [
    ("lines", "lines", 0),
    ("first_build_s", "first build, s", 1),
    ("build_s", "build after a change, s", 1),
    ("size_kb", "plugin, KB", 0),
    ("first_start_ms", "first start, ms", 0),
    ("start_ms", "further starts, ms", 0),
    ("collect_ms", "collection, ms", 2),
    ("collect_cpu_ms", "of it processor time, ms", 2),
    ("memory_mib", "peak memory, MiB", 1),
]
# Their engines and runtimes fill caches and memory first.
WARM_UP = 20
PATIENCE = 600


class Shop(http.server.BaseHTTPRequestHandler):
    """A page of a hundred orders, for whoever asks for whichever."""

    protocol_version = "HTTP/1.1"
    page = json.dumps(
        {
            "orders": [{"status": ("paid", "void", "lost")[i % 3], "seconds": i / 8} for i in range(100)],
            "cursor": "100",
            "more": False,
            "open": 7,
        }
    ).encode()

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(self.page)))
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, *_):
        pass


class Plugin:
    """The example of a language: a copy of its project where nothing was built yet, unless it needs the workspace it is in."""

    def __init__(self, language, arguments):
        self.language = language
        self.kiln = arguments.kiln
        self.scratch = pathlib.Path(arguments.scratch) / language
        self.scratch.mkdir()
        self.example = pathlib.Path("plugins/examples") / LANGUAGES[language][1]
        self.wasm = self.scratch / "plugin.wasm"
        # Caches of compilers other than the toolchain's own, which setting up has filled.
        self.environment = {
            **os.environ,
            "CARGO_TARGET_DIR": str(self.scratch / "target"),
            "GOCACHE": str(self.scratch / "gocache"),
            "XDG_CACHE_HOME": str(self.scratch / "cache"),
            "CARGO_TERM_QUIET": "true",
        }
        if language == "rust":
            self.project = self.example
        else:
            self.project = self.scratch / "project"
            shutil.copytree(self.example, self.project, ignore=shutil.ignore_patterns("build"))

    def sources(self):
        """What the plugin is made of: no tests, no scripts, nothing generated."""
        patterns = LANGUAGES[self.language][2]
        files = {path for pattern in patterns for path in self.example.glob(pattern)}
        return sorted(path for path in files if "_test." not in path.name and path.relative_to(self.example).parts[0] != "build")

    def lines(self):
        begins = LANGUAGES[self.language][3]
        texts = (path.read_text(encoding="utf-8").splitlines() for path in self.sources())
        stripped = (line.strip() for text in texts for line in text)
        return sum(1 for line in stripped if line and not line.startswith(begins))

    def build(self):
        command = [self.kiln, "plugin", "build", str(self.project), "-o", str(self.wasm)]
        began = time.monotonic()
        ended = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=PATIENCE)
        took = time.monotonic() - began
        if ended.returncode:
            raise SystemExit(f"{self.language} does not build:\n{ended.stdout}{ended.stderr}")
        return took

    def touch(self):
        for path in self.sources():
            os.utime(self.project / path.relative_to(self.example))

    def settings(self, port):
        origin = f"http://127.0.0.1:{port}"
        grants = f'{{ http: [ {{ origin: "{origin}", addresses: [loopback] }} ] }}'
        return f'host: "{origin}", token: t, collection_interval: 100ms, limits: {{ cpu: 60s }}, grants: {grants}'

    def dev(self, port, *more):
        return [self.kiln, "plugin", "dev", str(self.wasm), "--json", "--with", self.settings(port), *more]

    def start(self, port):
        """From exec to the end of the first collection."""
        began = time.monotonic()
        command = self.dev(port, "--once")
        ended = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=PATIENCE)
        if ended.returncode:
            raise SystemExit(f"{self.language} does not run:\n{ended.stdout}{ended.stderr}")
        return (time.monotonic() - began) * 1000

    def collections(self, port, count):
        """Of each collection once it is warm: milliseconds, those of processor time, and bytes of the guest's memory."""
        found = []
        with subprocess.Popen(self.dev(port), env=self.environment, stdout=subprocess.PIPE, text=True) as dev:
            try:
                for line in dev.stdout:
                    calls = json.loads(line).get("calls", [])
                    for call in (call for call in calls if call["function"] == "collect"):
                        if call["outcome"] != "ok":
                            raise SystemExit(f"{self.language} fails: {line}")
                        found.append((call["ms"], call["cpu_ms"], call["memory_bytes"]))
                    if len(found) >= WARM_UP + count:
                        break
            finally:
                dev.terminate()
        if len(found) < WARM_UP + count:
            raise SystemExit(f"{self.language} ended after {len(found)} collections")
        return found[WARM_UP:]

    def compiled(self):
        """Where its native code is kept."""
        return self.scratch / "cache" / "kiln" / "compiled"


def measure(language, arguments, port):
    plugin = Plugin(language, arguments)
    first_build = plugin.build()
    builds = []
    for _ in range(arguments.builds):
        plugin.touch()
        builds.append(plugin.build())
    first_starts = []
    for _ in range(arguments.starts):
        shutil.rmtree(plugin.compiled(), ignore_errors=True)
        first_starts.append(plugin.start(port))
    starts = [plugin.start(port) for _ in range(arguments.starts)]
    collections = plugin.collections(port, arguments.collections)
    milliseconds, processor, memory = zip(*collections)
    median = statistics.median
    return {
        "lines": plugin.lines(),
        "first_build_s": first_build,
        "build_s": median(builds),
        "size_kb": plugin.wasm.stat().st_size / 1000,
        "first_start_ms": median(first_starts),
        "start_ms": median(starts),
        "collect_ms": median(milliseconds),
        "collect_cpu_ms": median(processor),
        "memory_mib": max(memory) / (1 << 20),
        "samples": {
            "builds_s": builds,
            "first_starts_ms": first_starts,
            "starts_ms": starts,
            "collect_ms": {"minimum": min(milliseconds), "maximum": max(milliseconds), "count": len(milliseconds)},
        },
    }


def table(results):
    lines = ["|  | " + " | ".join(title for _, title, _ in COLUMNS) + " |", "| --- |" + " ---: |" * len(COLUMNS)]
    for language, measured in results.items():
        cells = (f"{measured[name]:,.{digits}f}" for name, _, digits in COLUMNS)
        lines.append(f"| {LANGUAGES[language][0]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def page(results, machine, arguments):
    notes = f"**{arguments.note}** " if arguments.note else ""
    return f"""# The same plugin in each language

Written by `scripts/bench languages` at {machine["commit"]} on {machine["date"]}: {machine["kiln"]}; {machine["processor"]}, Linux
{machine["kernel"]}. {notes}The load of the machine was {machine["load_before"]:.1f} before and {machine["load_after"]:.1f} after, on {os.cpu_count()} cores.
The same figures, and those behind the medians, are in [languages.json](languages.json).

The plugin is the example `orders`: it reads a page of a hundred orders over HTTP, adds them up with what its state remembers, and
emits a gauge, a sum and a histogram.

{table(results)}

* **lines**: of code, without comments, blanks, tests and scripts. Of C, without the reader of JSON that the project brings
  along: in the other languages that is a library.
* **first build**: `kiln plugin build` with the toolchain there, of C its compiled wasi-libc too, and nothing else compiled before; once. Of Rust
  that is the SDK with everything it is generated by. **Build after a change**: median of {arguments.builds}, with what compilers keep.
* **first start**: from exec of `kiln plugin dev --once` to the end of the first collection, with nothing compiled: compiling is most of it.
  **Further starts**: the same with the native code that the first one kept. Medians of {arguments.starts}.
* **collection**: what one takes, from the call to its return, with the request to a server on this machine in it; **processor time** is what
  the plugin computed of it, host calls included. Medians of {arguments.collections}, after {WARM_UP} that are not counted.
* **peak memory**: the linear memory of the plugin; what Kiln needs for it beside that are a stack and the mapped native code.
  Of C it is the 16 MiB that Zig sets aside for the stack.
"""


def main():
    parser = argparse.ArgumentParser()
    for name in ("--scratch", "--output", "--kiln", "--languages"):
        parser.add_argument(name, required=True)
    for name in ("--builds", "--starts", "--collections"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--note", default="")
    arguments = parser.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    machine = {**about(arguments.kiln, arguments.kiln), "load_before": os.getloadavg()[0]}
    machine.pop("collector")
    results = {}
    for language in arguments.languages.split(","):
        print(f"{LANGUAGES[language][0]} …", flush=True)
        results[language] = measure(language, arguments, server.server_port)
    server.shutdown()
    machine["load_after"] = os.getloadavg()[0]
    output = pathlib.Path(arguments.output)
    (output / "languages.json").write_text(json.dumps({"about": machine, "languages": results}, indent=2) + "\n", encoding="utf-8")
    (output / "languages.md").write_text(page(results, machine, arguments), encoding="utf-8")
    print("\n" + table(results) + f"\n\nwritten to {output}/languages.md and languages.json")


if __name__ == "__main__":
    main()
