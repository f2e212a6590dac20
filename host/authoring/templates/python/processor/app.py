"""Masks the values of attributes of resources."""

import json

from wit_world import WitWorld as World
from wit_world.imports.processing import Edit, Edit_SetResourceAttribute, SetAttribute, View
from wit_world.imports.telemetry import AttributeValue_Text

MASK = AttributeValue_Text("***")


class WitWorld(World):
    # Every call is on an object of its own; what is to stay between calls belongs to the class.
    keys: set[str] = set()

    def configure(self, config: str) -> None:
        # It satisfies the schema of plugin.toml.
        WitWorld.keys = set(json.loads(config)["keys"])

    def process(self, view: View) -> list[Edit]:
        edits: list[Edit] = []
        for index, resource in enumerate(view.resources):
            for attribute in resource.attributes:
                if attribute.key in self.keys:
                    edits.append(Edit_SetResourceAttribute(SetAttribute(index, attribute.key, MASK)))
        return edits
