"""Says how long queues are."""

import json

from componentize_py_types import Err
from wit_world import WitWorld as World
from wit_world.imports import emit, http
from wit_world.imports.collection import CollectError_Failed, CollectError_InvalidData, CollectError_Unavailable, Outcome
from wit_world.imports.http import Method, Request
from wit_world.imports.telemetry import (
    Attribute,
    AttributeValue_Text,
    Metric,
    MetricData_Gauge,
    Number_Integer,
    NumberPoint,
    Resource,
    ResourceMetrics,
    Scope,
)


class WitWorld(World):
    # Every call is on an object of its own; what is to stay between calls belongs to the class.
    url = ""

    def configure(self, config: str) -> None:
        # It satisfies the schema of plugin.toml, without the token: the host keeps that and signs in itself.
        WitWorld.url = json.loads(config)["host"].rstrip("/") + "/api/queues"

    def collect(self) -> Outcome:
        try:
            response = http.send(Request(Method.GET, self.url, [], None))
        except Err as error:
            raise Err(CollectError_Unavailable(f"/api/queues: {error.value}")) from None
        if response.status != 200:
            raise Err(CollectError_Unavailable(f"/api/queues: status {response.status}"))
        try:
            # Text first: what bytes of another encoding would need is a module that nothing can load any more.
            queues = json.loads(response.body.decode())["queues"]
            lengths = {queue["name"]: int(queue["length"]) for queue in queues}
        except (KeyError, TypeError, ValueError) as error:
            raise Err(CollectError_InvalidData(f"/api/queues: {error!r}")) from None
        points = [point(name, length) for name, length in lengths.items()]
        gauge = Metric("{{ident}}.queue.length", "items that wait in the queue", "{item}", [], MetricData_Gauge(points))
        try:
            emit.metrics([ResourceMetrics(Resource([]), Scope("{{name}}", "0.1.0", []), [gauge])])
        except Err as error:
            raise Err(CollectError_Failed(str(error.value))) from None
        return Outcome(failures=[], more=False)


def point(queue: str, length: int) -> NumberPoint:
    # Times of 0: the host knows.
    return NumberPoint([Attribute("queue", AttributeValue_Text(queue))], 0, 0, Number_Integer(length), [])
