// What the receiver promises, on Node.js: a host is an object, and a test makes its own.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Orders, PAGES } from "../orders.js";
import { decode, encode } from "../utf8.js";

const page = (orders, cursor, more, open = 0) => ({
  status: 200,
  headers: [],
  body: encode(JSON.stringify({ orders, cursor, more, open })),
});
const order = (seconds, status = "paid") => ({ status, seconds });

// Answers requests in turn, and keeps what is emitted and remembered.
function hostThatAnswers(...answers) {
  const host = {
    urls: [],
    emitted: [],
    stored: new Map(),
    now: () => 7,
    emit: (batch) => host.emitted.push(...batch),
    send: ({ url }) => {
      host.urls.push(url);
      const answer = answers.shift();
      if (answer.tag !== undefined) throw { payload: answer };
      return answer;
    },
    points: (name) => {
      const { data } = host.emitted.at(-1).metrics.find((metric) => metric.name === name);
      return data.val.points ?? data.val;
    },
  };
  host.state = { get: (key) => host.stored.get(key), set: (key, value) => host.stored.set(key, value) };
  return host;
}

const configured = (host) => new Orders({ host: "https://shop.example/", page_size: 2 }, host);

test("pages are followed and every order is counted", () => {
  const host = hostThatAnswers(page([order(0.2), order(3)], "a", true), page([order(0.5, "void")], "b", false, 4));
  assert.equal(configured(host).collect().more, false);
  const first = "https://shop.example/api/orders?limit=2";
  assert.deepEqual(host.urls, [first, `${first}&after=a`]);
  const counts = host.points("shop.orders.count").map(({ attributes, value }) => [attributes[0].value.val, value.val]);
  assert.deepEqual(counts, [["paid", 2], ["void", 1]]);
  assert.equal(host.points("shop.orders.open")[0].value.val, 4);
  const [duration] = host.points("shop.order.duration");
  assert.deepEqual([duration.bucketCounts, duration.count, duration.sum], [[2, 0, 1, 0, 0], 3, 3.7]);
});

test("what was counted is not counted again", () => {
  const host = hostThatAnswers(page([order(1)], "a", false), page([order(1)], "b", false));
  configured(host).collect();
  configured(host).collect();
  assert.ok(host.urls[1].endsWith("&after=a"));
  const [point] = host.points("shop.orders.count");
  assert.deepEqual([point.value.val, point.startTime], [2, 7]);
});

test("many pages are queued in between", () => {
  const host = hostThatAnswers(...Array.from({ length: PAGES }, () => page([], "x", true)));
  assert.equal(configured(host).collect().more, true);
});

test("what goes wrong has a name", () => {
  const cases = [
    [{ status: 401, body: encode("") }, "unauthorized"],
    [{ status: 503, body: encode("") }, "unavailable"],
    [{ tag: "timeout" }, "unavailable"],
    [{ tag: "denied", val: "no grant" }, "failed"],
    [{ status: 200, body: encode("<html>") }, "invalid-data"],
    [{ status: 200, body: encode('{"orders": [{}]}') }, "invalid-data"],
  ];
  for (const [answer, tag] of cases) {
    const host = hostThatAnswers(answer);
    assert.throws(() => configured(host).collect(), (error) => error.tag === tag, tag);
    assert.deepEqual([host.emitted.length, host.stored.size], [0, 0]);
  }
});

test("text survives, whatever is in it", () => {
  const text = "ä€😀".repeat(10_000);
  assert.equal(decode(encode(text)), text);
});
