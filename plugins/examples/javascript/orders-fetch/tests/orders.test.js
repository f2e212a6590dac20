// What the receiver promises, on Node.js, which has the same fetch: a test puts its own in its place.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Orders, PAGES } from "../orders.js";

const page = (orders, cursor, more, open = 0) => Response.json({ orders, cursor, more, open });
const order = (seconds, status = "paid") => ({ status, seconds });

// Answers requests in turn, and keeps what is emitted and remembered.
function hostThatAnswers(...answers) {
  const host = {
    urls: [],
    emitted: [],
    stored: new Map(),
    now: () => 7n,
    emit: (batch) => host.emitted.push(...batch),
    points: (name) => {
      const { data } = host.emitted.at(-1).metrics.find((metric) => metric.name === name);
      return data.val.points ?? data.val;
    },
  };
  host.state = { get: (key) => host.stored.get(key), set: (key, value) => host.stored.set(key, value) };
  globalThis.fetch = async (url) => {
    host.urls.push(String(url));
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return host;
}

const configured = (host) => new Orders({ host: "https://shop.example/", page_size: 2 }, host);

test("pages are followed and every order is counted", async () => {
  const host = hostThatAnswers(page([order(0.2), order(3)], "a b", true), page([order(0.5, "void")], "b", false, 4));
  assert.equal((await configured(host).collect()).more, false);
  const first = "https://shop.example/api/orders?limit=2";
  assert.deepEqual(host.urls, [first, `${first}&after=a+b`]);
  const counts = host.points("shop.orders.count").map(({ attributes, value }) => [attributes[0].value.val, value.val]);
  assert.deepEqual(counts, [["paid", 2n], ["void", 1n]]);
  assert.equal(host.points("shop.orders.open")[0].value.val, 4n);
  const [duration] = host.points("shop.order.duration");
  assert.deepEqual([duration.bucketCounts, duration.count, duration.sum], [[2n, 0n, 1n, 0n, 0n], 3n, 3.7]);
});

test("what was counted is not counted again", async () => {
  const host = hostThatAnswers(page([order(1)], "a", false), page([order(1)], "b", false));
  await configured(host).collect();
  await configured(host).collect();
  assert.ok(host.urls[1].endsWith("&after=a"));
  const [point] = host.points("shop.orders.count");
  assert.deepEqual([point.value.val, point.startTime], [2n, 7n]);
});

test("many pages are queued in between", async () => {
  const host = hostThatAnswers(...Array.from({ length: PAGES }, () => page([], "x", true)));
  assert.equal((await configured(host).collect()).more, true);
});

test("what goes wrong has a name", async () => {
  const cases = [
    [new Response("", { status: 401 }), "unauthorized"],
    [new Response("", { status: 503 }), "unavailable"],
    [new TypeError("NetworkError"), "unavailable"],
    [new Response("<html>"), "invalid-data"],
    [Response.json({ orders: [{}] }), "invalid-data"],
  ];
  for (const [answer, tag] of cases) {
    const host = hostThatAnswers(answer);
    await assert.rejects(configured(host).collect(), (error) => error.tag === tag, tag);
    assert.deepEqual([host.emitted.length, host.stored.size], [0, 0]);
  }
});
