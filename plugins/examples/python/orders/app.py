"""Counts the orders of a shop, each once, and says how long they took.

The API hands out orders in pages, oldest first, each with the cursor to go on from. The cursor and what has been counted
so far are one value in the host's state: it is committed with the telemetry or not at all, so an order is counted once
whatever happens in between.
"""

import json
from bisect import bisect_left
from dataclasses import asdict, dataclass, field
from urllib.parse import urlencode

from componentize_py_types import Err
from wit_world import WitWorld as World
from wit_world.imports import clock, emit, http, state
from wit_world.imports.collection import (
    CollectError_Failed,
    CollectError_InvalidData,
    CollectError_Unauthorized,
    CollectError_Unavailable,
    Outcome,
)
from wit_world.imports.http import Error_Denied, Error_InvalidRequest, Error_TooLarge, Header, Method, Request
from wit_world.imports.telemetry import (
    Attribute,
    AttributeValue_Text,
    Histogram,
    HistogramPoint,
    Metric,
    MetricData_Gauge,
    MetricData_Histogram,
    MetricData_Sum,
    Number_Integer,
    NumberPoint,
    Resource,
    ResourceMetrics,
    Scope,
    Sum,
    Temporality,
)

# As plugin.toml declares them.
BOUNDS = [0.5, 1.0, 5.0, 10.0]

# A page is queued before the next ones are asked for; so many are read in one go.
PAGES = 10

STATE_KEY = "progress"


@dataclass
class Progress:
    """What is remembered between collections."""

    start: int
    cursor: str | None = None
    counts: dict[str, int] = field(default_factory=dict)
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0

    def record(self, order: dict) -> None:
        status, seconds = str(order["status"]), float(order["seconds"])
        self.counts[status] = self.counts.get(status, 0) + 1
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds


class Orders:
    """An instance, as its configuration makes it."""

    def __init__(self, config: str) -> None:
        # It satisfies the schema of plugin.toml, with defaults filled in and the token left out.
        fields = json.loads(config)
        self.host = fields["host"].rstrip("/")
        self.page_size = fields["page_size"]

    def collect(self) -> Outcome:
        progress = load()
        for _ in range(PAGES):
            page = self.page(progress.cursor)
            try:
                for order in page["orders"]:
                    progress.record(order)
                progress.cursor, more, waiting = page["cursor"], page["more"], int(page["open"])
            except (KeyError, TypeError, ValueError) as error:
                raise Err(CollectError_InvalidData(f"/api/orders: {error!r}")) from None
            if not more:
                break
        attempt(lambda: emit.metrics([self.telemetry(progress, waiting)]))
        attempt(lambda: state.set(STATE_KEY, json.dumps(asdict(progress)).encode()))
        return Outcome(failures=[], more=more)

    def page(self, cursor: str | None) -> dict:
        query = {"limit": self.page_size} | ({"after": cursor} if cursor is not None else {})
        url = f"{self.host}/api/orders?{urlencode(query)}"
        try:
            response = http.send(Request(Method.GET, url, [Header("accept", "application/json")], None))
        except Err as error:
            raise Err(meaning_of(error.value)) from None
        if response.status in (401, 403):
            raise Err(CollectError_Unauthorized(f"/api/orders: status {response.status}"))
        if response.status == 429 or response.status >= 500:
            raise Err(CollectError_Unavailable(f"/api/orders: status {response.status}"))
        if response.status != 200:
            raise Err(CollectError_InvalidData(f"/api/orders: status {response.status}"))
        try:
            # Text first: what bytes of another encoding would need is a module that nothing can load any more.
            return json.loads(response.body.decode())
        except ValueError as error:
            raise Err(CollectError_InvalidData(f"/api/orders: {error}")) from None

    def telemetry(self, progress: Progress, waiting: int) -> ResourceMetrics:
        start = progress.start
        counts = [number(count, start, [text("status", status)]) for status, count in sorted(progress.counts.items())]
        duration = HistogramPoint(
            attributes=[],
            start_time=start,
            time=0,  # The host knows.
            count=sum(progress.buckets),
            sum=progress.seconds,
            min=None,
            max=None,
            bounds=BOUNDS,
            bucket_counts=progress.buckets,
            exemplars=[],
            no_recorded_value=False,
        )
        metrics = [
            Metric("shop.orders.open", "orders that wait to be handled", "{order}", [], MetricData_Gauge([number(waiting)])),
            Metric(
                "shop.orders.count",
                "orders handled",
                "{order}",
                [],
                MetricData_Sum(Sum(Temporality.CUMULATIVE, True, counts)),
            ),
            Metric(
                "shop.order.duration",
                "time from an order to its end",
                "s",
                [],
                MetricData_Histogram(Histogram(Temporality.CUMULATIVE, [duration])),
            ),
        ]
        return ResourceMetrics(Resource([text("shop.host", self.host)]), Scope("orders-python", "0.1.0", []), metrics)


class WitWorld(World):
    """What Kiln calls. Every call is on an object of its own; what is to stay between calls belongs to the class."""

    orders: Orders

    def configure(self, config: str) -> None:
        WitWorld.orders = Orders(config)

    def collect(self) -> Outcome:
        return self.orders.collect()


def load() -> Progress:
    stored = attempt(lambda: state.get(STATE_KEY))
    if stored is None:
        return Progress(start=clock.now())
    try:
        return Progress(**json.loads(stored.decode()))
    except (TypeError, ValueError) as error:
        raise Err(CollectError_Failed(f"what is remembered cannot be read: {error}")) from None


def attempt(call):
    """What the host refuses, the operator is told."""
    try:
        return call()
    except Err as error:
        raise Err(CollectError_Failed(str(error.value))) from None


def meaning_of(error: http.Error):
    """No answer came: whether later may be better."""
    if isinstance(error, (Error_Denied, Error_InvalidRequest, Error_TooLarge)):
        return CollectError_Failed(f"/api/orders: {error}")
    return CollectError_Unavailable(f"/api/orders: {error}")


def number(value: int, start: int = 0, attributes: list[Attribute] | None = None) -> NumberPoint:
    return NumberPoint(attributes or [], start, 0, Number_Integer(value), [])


def text(key: str, value: str) -> Attribute:
    return Attribute(key, AttributeValue_Text(value))
