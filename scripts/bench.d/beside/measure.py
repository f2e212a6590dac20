"""How everything is measured: by turns, A B A B, from the outside, and only if all that was sent arrived."""

import dataclasses
import statistics
import time

from .world import Backend, Failed, Running, await_that

WARM_UP = 3


@dataclasses.dataclass
class Bench:
    """What workloads measure with."""

    backend: Backend
    sides: dict
    programs: dict
    scratch: str
    core: int
    pairs: int
    idle: int
    is_quick: bool

    def run(self, command):
        return Running(command, self.core, f"{self.scratch}/log")

    def by_turns(self, turns, pairs=None):
        """Calls what each name stands for, pair after pair; gives what they measured by name."""
        measured = {name: [] for name in turns}
        for _ in range(pairs or self.pairs):
            for name, turn in turns.items():
                measured[name].append(turn())
        return measured

    def scrape(self, side, work, target, scrapes, warm_up=WARM_UP):
        """A turn: what so many scrapes cost from one moment with nothing to do to another."""
        self.backend.forget()
        target.forget()
        running = self.run(side.prepare(work, self.backend.url, self.scratch))
        receivers = len(work.targets)
        try:
            target.await_answered(warm_up * receivers, running)
            running.settle(work.interval)
            before, began, done = running.processor_seconds(), time.monotonic(), target.answered
            target.await_answered(done + scrapes * receivers, running)
            running.settle(work.interval)
            seconds, wall, done = running.processor_seconds() - before, time.monotonic() - began, target.answered - done
            resident, peak = running.memory("VmRSS"), running.memory("VmHWM")
            target.hold()
            if not side.holds_back:
                await_that(f"the rest of what {side.name} has read", lambda: running.check_alive() and self.backend.items() >= sent(work, target))
            counts = self.backend.counts()
        finally:
            life = running.end()
        if side.holds_back:
            counts = self.backend.counts()
        if counts["items"] != sent(work, target):
            raise Failed(
                f"{side.name}: {target.answered} scrapes of {target.points_of_a_scrape} points are {sent(work, target)}, and {counts['items']} arrived; "
                f"nothing that was measured is worth anything\n{running.last_words()}"
            )
        if life < seconds:
            raise Failed(f"{side.name} used {seconds} s while it was watched and {life} s in its whole life")
        samples = done * target.samples
        return {
            "cpu_us_per_sample": seconds / samples * 1e6,
            "cpu_ms_per_scrape": seconds / done * 1e3,
            "samples_per_core_second": samples / seconds,
            "cpu_percent": seconds / wall * 100,
            "peak_rss_mib": peak,
            "rss_mib": resident,
            "wire_bytes_per_sample": counts["wire_bytes"] / (target.answered * target.samples),
            "otlp_bytes_per_request": counts["bytes"] / max(1, counts["requests"]),
            "wall_s": wall,
            "items_delivered": counts["items"],
        }


def sent(work, target):
    return target.answered * target.points_of_a_scrape * work.exporters


def comparison(key, title, turns, ours, theirs):
    """Of each measure: both sides and, pair by pair, the ratio; none where one of them came to less than can be measured."""
    compared = {}
    for measure in turns[ours][0]:
        a, b = ([turn[measure] for turn in turns[name]] for name in (ours, theirs))
        compared[measure] = {"ours": summary(a), "theirs": summary(b), "ratio": summary(ratios(a, b))}
    return {"key": key, "title": title, "ours": ours, "theirs": theirs, "measures": compared}


def ratios(ours, theirs):
    """A figure that is a difference may be below zero, and then says nothing, nor do the others of its kind."""
    return [x / y for x, y in zip(ours, theirs)] if min(ours) >= 0 and min(theirs) > 0 else []


def summary(values):
    if not values:
        return None
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}
