"""What the processor promises."""

import json
import unittest

import app
from componentize_py_types import Err
from wit_world.imports.processing import (
    MetricKind,
    MetricView,
    PointAttribute,
    PointView,
    ResourceView,
    Signal,
    View,
)
from wit_world.imports.telemetry import (
    Attribute,
    AttributeValue_Integer,
    AttributeValue_Text,
    AttributeValue_TextList,
)

MAIL = {"pattern": r"[^@\s]+@[^@\s]+"}


def configured(*patterns):
    app.WitWorld().configure(json.dumps({"patterns": patterns}))
    return app.WitWorld()


def view():
    user, nobody = AttributeValue_Text("ann@a.example"), AttributeValue_Text("nobody")
    owners = AttributeValue_TextList(["bob@b.example", "nobody"])
    resources = [
        ResourceView([Attribute("owners", owners), Attribute("size", AttributeValue_Integer(7))]),
        ResourceView([Attribute("user", user), Attribute("zone", nobody)]),
    ]
    return View(Signal.METRICS, resources, [], [], [])


def edits(plugin):
    return [(edit.value.target, edit.value.key, edit.value.value.value) for edit in plugin.process(view())]


def points(signal, *kinds):
    """A point of each kind of metric, or a span or log record, that names somebody."""
    metrics = [MetricView(0, 1, 2, kind) for kind in kinds]
    ann = PointAttribute(0, AttributeValue_Text("ann@a.example"))
    of = [PointView(index, [ann]) for index in range(max(len(kinds), 1))]
    return View(signal, [ResourceView([])], metrics, of, ["user", "logins", "1"])


class Redact(unittest.TestCase):
    def test_what_matches_is_replaced_and_nothing_else(self):
        self.assertEqual(edits(configured(MAIL)), [(0, "owners", ["***", "nobody"]), (1, "user", "***")])

    def test_points_that_came_to_be_alike_are_joined(self):
        edits = configured(MAIL).process(points(Signal.METRICS, MetricKind.SUM, MetricKind.SUMMARY))
        self.assertEqual([(edit.value.target, edit.value.key) for edit in edits[:2]], [(0, "user"), (1, "user")])
        self.assertEqual([(edit.value.metric, edit.value.without) for edit in edits[2:]], [(0, [])])

    def test_spans_and_log_records_are_redacted_each_for_itself(self):
        for signal in (Signal.SPANS, Signal.LOGS):
            edits = configured(MAIL).process(points(signal))
            self.assertEqual([edit.value.value.value for edit in edits], ["***"])

    def test_a_replacement_is_taken_as_it_is(self):
        self.assertEqual(edits(configured(MAIL | {"replacement": r"\1$&"}))[1], (1, "user", r"\1$&"))

    def test_patterns_go_one_after_the_other(self):
        one, two = {"pattern": "ann", "replacement": "x"}, {"pattern": "x@", "replacement": "y@"}
        self.assertEqual(edits(configured(one, two)), [(1, "user", "y@a.example")])

    def test_what_is_no_pattern_is_refused_by_its_place(self):
        with self.assertRaises(Err) as raised:
            configured(MAIL, {"pattern": "("})
        self.assertEqual(raised.exception.value.field, "/patterns/1/pattern")


if __name__ == "__main__":
    unittest.main()
