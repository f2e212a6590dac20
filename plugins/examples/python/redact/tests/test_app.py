"""What the processor promises."""

import json
import unittest

import app
from componentize_py_types import Err
from wit_world.imports.processing import ResourceView, Signal, View
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


class Redact(unittest.TestCase):
    def test_what_matches_is_replaced_and_nothing_else(self):
        self.assertEqual(edits(configured(MAIL)), [(0, "owners", ["***", "nobody"]), (1, "user", "***")])

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
