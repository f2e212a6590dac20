"""What the processor promises."""

import unittest

import app
from wit_world.imports.processing import ResourceView, Signal, View
from wit_world.imports.telemetry import Attribute, AttributeValue_Text


class Mask(unittest.TestCase):
    def test_named_attributes_are_masked_and_no_others(self):
        text = AttributeValue_Text
        view = View(
            Signal.METRICS,
            [ResourceView([Attribute("owner", text("ann")), Attribute("zone", text("a"))])],
            [],
            [],
            [],
        )
        app.WitWorld().configure('{"keys": ["user", "owner"]}')
        edits = [(edit.value.target, edit.value.key, edit.value.value.value) for edit in app.WitWorld().process(view)]
        self.assertEqual(edits, [(0, "owner", "***")])


if __name__ == "__main__":
    unittest.main()
