// What the processor promises, on Node.js.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Mask } from "../mask.js";

test("named attributes are masked and no others", () => {
  const text = (val) => ({ tag: "text", val });
  const view = {
    signal: "metrics",
    resources: [{ attributes: [{ key: "owner", value: text("ann") }, { key: "zone", value: text("a") }] }],
    metrics: [],
    points: [],
    strings: [],
  };
  const edits = new Mask({ keys: ["user", "owner"] }).process(view);
  assert.deepEqual(
    edits.map(({ val: { target, key, value } }) => [target, key, value.val]),
    [[0, "owner", "***"]],
  );
});
