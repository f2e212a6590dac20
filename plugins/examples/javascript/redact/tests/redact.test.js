// What the processor promises, on Node.js.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Redact } from "../redact.js";

const mail = { pattern: "[^@\\s]+@[^@\\s]+" };
const text = (val) => ({ tag: "text", val });

const view = {
  signal: "metrics",
  resources: [
    {
      attributes: [
        { key: "owners", value: { tag: "text-list", val: ["bob@b.example", "nobody"] } },
        { key: "size", value: { tag: "integer", val: 7n } },
      ],
    },
    { attributes: [{ key: "user", value: text("ann@a.example") }, { key: "zone", value: text("nobody") }] },
  ],
  metrics: [],
  points: [],
  strings: [],
};

const edits = (...patterns) =>
  new Redact({ patterns }).process(view).map(({ val: { target, key, value } }) => [target, key, value.val]);

test("what matches is replaced and nothing else", () => {
  assert.deepEqual(edits(mail), [[0, "owners", ["***", "nobody"]], [1, "user", "***"]]);
});

// A point of each kind of metric, or a span or log record, that names somebody.
const points = (signal, ...kinds) => ({
  signal,
  resources: [{ attributes: [] }],
  metrics: kinds.map((kind) => ({ resource: 0, name: 1, unit: 2, kind })),
  points: Array.from({ length: Math.max(kinds.length, 1) }, (_, metric) => ({
    metric,
    attributes: [{ key: 0, value: text("ann@a.example") }],
  })),
  strings: ["user", "logins", "1"],
});

test("points that came to be alike are joined", () => {
  const edits = new Redact({ patterns: [mail] }).process(points("metrics", "sum", "summary"));
  assert.deepEqual(edits.slice(0, 2).map(({ val: { target, key } }) => [target, key]), [[0, "user"], [1, "user"]]);
  assert.deepEqual(edits.slice(2), [{ tag: "aggregate", val: { metric: 0, without: [], gauges: "last" } }]);
});

test("spans and log records are redacted each for itself", () => {
  for (const signal of ["spans", "logs"]) {
    const edits = new Redact({ patterns: [mail] }).process(points(signal));
    assert.deepEqual(edits.map(({ tag, val }) => [tag, val.value.val]), [["set-point-attribute", "***"]]);
  }
});

test("a replacement is taken as it is", () => {
  assert.deepEqual(edits({ ...mail, replacement: "\\1$&" })[1], [1, "user", "\\1$&"]);
});

test("patterns go one after the other", () => {
  const patterns = [{ pattern: "ann", replacement: "x" }, { pattern: "x@", replacement: "y@" }];
  assert.deepEqual(edits(...patterns), [[1, "user", "y@a.example"]]);
});

test("what is no pattern is refused by its place", () => {
  assert.throws(() => edits(mail, { pattern: "(" }), (error) => error.field === "/patterns/1/pattern");
});
