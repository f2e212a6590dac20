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
