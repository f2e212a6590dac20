"""What the receiver promises. The bindings are Python too: a test puts functions of its own in the place of the host's."""

import unittest
from unittest import mock

import app
from componentize_py_types import Err
from wit_world.imports.collection import CollectError_InvalidData, CollectError_Unavailable
from wit_world.imports.http import Response


def collect(status, body):
    emitted = []
    app.WitWorld().configure('{"host": "https://queues.example"}')
    with (
        mock.patch("wit_world.imports.http.send", lambda request: Response(status, [], body)),
        mock.patch("wit_world.imports.emit.metrics", emitted.extend),
    ):
        app.WitWorld().collect()
    return emitted


class Queues(unittest.TestCase):
    def test_every_queue_is_a_point(self):
        (batch,) = collect(200, b'{"queues": [{"name": "mail", "length": 3}, {"name": "jobs", "length": 0}]}')
        (gauge,) = batch.metrics
        self.assertEqual(gauge.name, "{{ident}}.queue.length")
        points = [(point.attributes[0].value.value, point.value.value) for point in gauge.data.value]
        self.assertEqual(points, [("mail", 3), ("jobs", 0)])

    def test_what_goes_wrong_has_a_name(self):
        for status, body, expected in [
            (503, b"", CollectError_Unavailable),
            (200, b"<html>", CollectError_InvalidData),
        ]:
            with self.subTest(status=status), self.assertRaises(Err) as raised:
                collect(status, body)
            self.assertIsInstance(raised.exception.value, expected)


if __name__ == "__main__":
    unittest.main()
