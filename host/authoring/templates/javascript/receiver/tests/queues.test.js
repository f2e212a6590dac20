// What the receiver promises, on Node.js: a host is an object, and a test makes its own.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Queues } from "../queues.js";
import { encode } from "../utf8.js";

function collect(status, body) {
  const emitted = [];
  const host = { send: () => ({ status, headers: [], body: encode(body) }), emit: (batch) => emitted.push(...batch) };
  new Queues({ host: "https://queues.example" }, host).collect();
  return emitted;
}

test("every queue is a point", () => {
  const queues = [{ name: "mail", length: 3 }, { name: "jobs", length: 0 }];
  const [gauge] = collect(200, JSON.stringify({ queues }))[0].metrics;
  assert.equal(gauge.name, "{{ident}}.queue.length");
  const points = gauge.data.val.map(({ attributes, value }) => [attributes[0].value.val, value.val]);
  assert.deepEqual(points, [["mail", 3], ["jobs", 0]]);
});

test("what goes wrong has a name", () => {
  assert.throws(() => collect(503, ""), (error) => error.tag === "unavailable");
  assert.throws(() => collect(200, "<html>"), (error) => error.tag === "invalid-data");
});
