"""Replaces what matches a pattern in the values of attributes, of resources and of data points, spans and log records.

Patterns are compiled once. Most values of a batch are alike, so what became of a value is remembered while the batch
lasts. Points that have the same attributes afterwards are one series, so the host is asked to join them.
"""

import json
import re
from functools import cache

from componentize_py_types import Err
from wit_world import WitWorld as World
from wit_world.imports.configuration import ConfigError
from wit_world.imports.processing import (
    Aggregate,
    Edit,
    Edit_Aggregate,
    Edit_SetPointAttribute,
    Edit_SetResourceAttribute,
    GaugeAggregation,
    MetricKind,
    SetAttribute,
    Signal,
    View,
)
from wit_world.imports.telemetry import AttributeValue, AttributeValue_Text, AttributeValue_TextList


class Redact:
    """An instance, as its configuration makes it."""

    def __init__(self, config: str) -> None:
        self.patterns: list[tuple[re.Pattern, str]] = []
        for index, entry in enumerate(json.loads(config)["patterns"]):
            try:
                pattern = re.compile(entry["pattern"])
            except re.error as error:
                raise Err(ConfigError(f"/patterns/{index}/pattern", f"is no regular expression: {error}")) from None
            self.patterns.append((pattern, entry.get("replacement", "***")))

    def process(self, view: View) -> list[Edit]:
        redacted = cache(self.redacted)
        edits: list[Edit] = []
        for index, resource in enumerate(view.resources):
            for attribute in resource.attributes:
                value = changed(attribute.value, redacted)
                if value is not None:
                    edits.append(Edit_SetResourceAttribute(SetAttribute(index, attribute.key, value)))
        metrics: set[int] = set()
        for index, point in enumerate(view.points):
            for attribute in point.attributes:
                value = changed(attribute.value, redacted)
                if value is not None:
                    key = view.strings[attribute.key]
                    edits.append(Edit_SetPointAttribute(SetAttribute(index, key, value)))
                    metrics.add(point.metric)
        if view.signal == Signal.METRICS:
            edits.extend(joined(metric) for metric in sorted(metrics) if can_be_joined(view, metric))
        return edits

    def redacted(self, text: str) -> str:
        for pattern, replacement in self.patterns:
            # A function, so that a backslash in the replacement is a backslash.
            text = pattern.sub(lambda _: replacement, text)
        return text


class WitWorld(World):
    """What Kiln calls. Every call is on an object of its own; what is to stay between calls belongs to the class."""

    redact: Redact

    def configure(self, config: str) -> None:
        WitWorld.redact = Redact(config)

    def process(self, view: View) -> list[Edit]:
        return self.redact.process(view)


def can_be_joined(view: View, metric: int) -> bool:
    """Quantiles have no sum, and to ask for one refuses the batch."""
    return view.metrics[metric].kind != MetricKind.SUMMARY


def joined(metric: int) -> Edit:
    """The points of a metric that are alike become one."""
    return Edit_Aggregate(Aggregate(metric, [], GaugeAggregation.LAST))


def changed(value: AttributeValue, redacted) -> AttributeValue | None:
    """What the value is to be, if that is something else. Numbers have nothing to redact."""
    if isinstance(value, AttributeValue_Text):
        after = AttributeValue_Text(redacted(value.value))
    elif isinstance(value, AttributeValue_TextList):
        after = AttributeValue_TextList([redacted(text) for text in value.value])
    else:
        return None
    return None if after == value else after
