"""What the receiver promises. The bindings are Python too: a test puts functions of its own in the place of the host's."""

import json
import unittest
from unittest import mock

import app
from componentize_py_types import Err
from wit_world.imports.collection import (
    CollectError_Failed,
    CollectError_InvalidData,
    CollectError_Unauthorized,
    CollectError_Unavailable,
)
from wit_world.imports.http import Error_Timeout, Response


def page(orders, cursor, more, waiting=0):
    body = {"orders": orders, "cursor": cursor, "more": more, "open": waiting}
    return Response(200, [], json.dumps(body).encode())


def order(seconds, status="paid"):
    return {"status": status, "seconds": seconds}


class Host:
    """Answers requests in turn, and keeps what is emitted and remembered."""

    def __init__(self, *answers):
        self.answers, self.urls, self.emitted, self.state = list(answers), [], [], {}

    def send(self, request):
        self.urls.append(request.url)
        answer = self.answers.pop(0)
        if isinstance(answer, Response):
            return answer
        raise Err(answer)

    def __enter__(self):
        replaced = {
            "wit_world.imports.http.send": self.send,
            "wit_world.imports.emit.metrics": self.emitted.extend,
            "wit_world.imports.state.get": self.state.get,
            "wit_world.imports.state.set": self.state.__setitem__,
            "wit_world.imports.clock.now": lambda: 7,
        }
        self.patches = [mock.patch(name, function) for name, function in replaced.items()]
        for patch in self.patches:
            patch.start()
        return self

    def __exit__(self, *_):
        for patch in self.patches:
            patch.stop()

    def points(self, name):
        (metric,) = [metric for metric in self.emitted[-1].metrics if metric.name == name]
        data = metric.data.value
        return data if isinstance(data, list) else data.points


def configured():
    app.WitWorld().configure('{"host": "https://shop.example/", "page_size": 2}')
    return app.WitWorld()


class Orders(unittest.TestCase):
    def test_pages_are_followed_and_every_order_counted(self):
        with Host(page([order(0.2), order(3)], "a", True), page([order(0.5, "void")], "b", False, 4)) as host:
            outcome = configured().collect()
        self.assertFalse(outcome.more)
        first = "https://shop.example/api/orders?limit=2"
        self.assertEqual(host.urls, [first, f"{first}&after=a"])
        counts = {point.attributes[0].value.value: point.value.value for point in host.points("shop.orders.count")}
        self.assertEqual(counts, {"paid": 2, "void": 1})
        self.assertEqual(host.points("shop.orders.open")[0].value.value, 4)
        (duration,) = host.points("shop.order.duration")
        self.assertEqual((duration.bucket_counts, duration.count, duration.sum), ([2, 0, 1, 0, 0], 3, 3.7))

    def test_what_was_counted_is_not_counted_again(self):
        with Host(page([order(1)], "a", False), page([order(1)], "b", False)) as host:
            configured().collect()
            configured().collect()
        self.assertTrue(host.urls[1].endswith("&after=a"))
        (point,) = host.points("shop.orders.count")
        self.assertEqual((point.value.value, point.start_time), (2, 7))

    def test_many_pages_are_queued_in_between(self):
        with Host(*[page([], "x", True) for _ in range(app.PAGES)]):
            self.assertTrue(configured().collect().more)

    def test_what_goes_wrong_has_a_name(self):
        cases = [
            (Response(401, [], b""), CollectError_Unauthorized),
            (Response(503, [], b""), CollectError_Unavailable),
            (Error_Timeout(), CollectError_Unavailable),
            (Response(200, [], b"<html>"), CollectError_InvalidData),
            (Response(200, [], b"\xff\xfe"), CollectError_InvalidData),
            (Response(200, [], "\ufeff{}".encode()), CollectError_InvalidData),
            (Response(200, [], b'{"orders": [{}]}'), CollectError_InvalidData),
        ]
        for answer, expected in cases:
            with self.subTest(answer=answer), Host(answer) as host, self.assertRaises(Err) as raised:
                configured().collect()
            self.assertIsInstance(raised.exception.value, expected)
            self.assertEqual((host.emitted, host.state), ([], {}))

    def test_a_state_of_another_version_is_not_counted_on(self):
        for stored in (b"", b"null", b"{}", b"7", b"\xff", b'{"start": 1}0'):
            with self.subTest(stored=stored), Host(page([], "a", False)) as host, self.assertRaises(Err) as raised:
                host.state["progress"] = stored
                configured().collect()
            self.assertIsInstance(raised.exception.value, CollectError_Failed)
            self.assertEqual(host.emitted, [])


if __name__ == "__main__":
    unittest.main()
