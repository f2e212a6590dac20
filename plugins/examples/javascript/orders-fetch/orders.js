// Counts the orders of a shop, each once, and says how long they took; with the `fetch` that every engine has.
//
// The API hands out orders in pages, oldest first, each with the cursor to go on from. The cursor and what has been
// counted so far are one value in the host's state: it is committed with the telemetry or not at all, so an order is
// counted once whatever happens in between.

// As plugin.toml declares them.
const BOUNDS = [0.5, 1, 5, 10];

// What was emitted is queued before further pages are asked for; so many are read in one go.
export const PAGES = 10;

const STATE_KEY = "progress";

// An error of the contract is thrown as a case of collect-error.
const fail = (tag, message) => {
  throw { tag, val: `/api/orders: ${message}` };
};

export class Orders {
  // `config` satisfies the schema of plugin.toml, with defaults filled in and the token left out.
  constructor(config, host) {
    this.base = config.host.replace(/\/+$/, "");
    this.pageSize = config.page_size;
    this.host = host;
  }

  async collect() {
    const progress = this.load();
    let page;
    for (let read = 0; read < PAGES; read++) {
      page = await this.page(progress.cursor);
      page.orders.forEach((order) => record(progress, order));
      progress.cursor = page.cursor;
      if (!page.more) break;
    }
    this.refusals(() => {
      this.host.emit([this.telemetry(progress, page.open)]);
      this.host.state.set(STATE_KEY, new TextEncoder().encode(JSON.stringify(progress)));
    });
    return { failures: [], more: page.more };
  }

  load() {
    const stored = this.refusals(() => this.host.state.get(STATE_KEY));
    if (stored != null) return JSON.parse(new TextDecoder().decode(stored));
    // JSON has no BigInt, which 64-bit integers are in this engine.
    return { start: String(this.host.now()), cursor: null, counts: {}, buckets: [...BOUNDS, Infinity].map(() => 0), seconds: 0 };
  }

  async page(cursor) {
    const url = new URL(`${this.base}/api/orders`);
    url.searchParams.set("limit", this.pageSize);
    if (cursor !== null) url.searchParams.set("after", cursor);
    const response = await this.ask(url);
    const { status } = response;
    if (status === 401 || status === 403) fail("unauthorized", `status ${status}`);
    if (status === 429 || status >= 500) fail("unavailable", `status ${status}`);
    if (status !== 200) fail("invalid-data", `status ${status}`);
    let page;
    try {
      page = await response.json();
    } catch (error) {
      fail("invalid-data", error.message);
    }
    const whole =
      Array.isArray(page?.orders) &&
      page.orders.every((order) => typeof order?.status === "string" && Number.isFinite(order.seconds)) &&
      typeof page.cursor === "string" &&
      typeof page.more === "boolean" &&
      Number.isSafeInteger(page.open);
    return whole ? page : fail("invalid-data", "not a page of orders");
  }

  // fetch has one error for whatever keeps an answer away, a denied request too; the operator's log says which it was.
  async ask(url) {
    try {
      return await fetch(url, { headers: { accept: "application/json" } });
    } catch (error) {
      return fail("unavailable", error.message);
    }
  }

  // What the host refuses, the operator is told.
  refusals(call) {
    try {
      return call();
    } catch (error) {
      const payload = error?.payload ?? error;
      if (typeof payload?.tag !== "string") throw error;
      throw { tag: "failed", val: `${payload.tag}: ${payload.val}` };
    }
  }

  telemetry(progress, open) {
    const startTime = BigInt(progress.start);
    const number = (val, start = 0n, attributes = []) => ({
      attributes,
      startTime: start,
      time: 0n, // The host knows.
      value: { tag: "integer", val: BigInt(val) },
      exemplars: [],
    });
    const text = (key, val) => ({ key, value: { tag: "text", val } });
    const metric = (name, description, unit, tag, val) => ({ name, description, unit, metadata: [], data: { tag, val } });

    const counts = Object.entries(progress.counts).sort(([a], [b]) => (a < b ? -1 : 1));
    const duration = {
      attributes: [],
      startTime,
      time: 0n,
      count: BigInt(progress.buckets.reduce((sum, count) => sum + count, 0)),
      sum: progress.seconds,
      min: undefined,
      max: undefined,
      bounds: BOUNDS,
      bucketCounts: progress.buckets.map(BigInt),
      exemplars: [],
      noRecordedValue: false,
    };
    return {
      resource: { attributes: [text("shop.host", this.base)] },
      scope: { name: "orders-javascript-fetch", version: "0.1.0", attributes: [] },
      metrics: [
        metric("shop.orders.open", "orders that wait to be handled", "{order}", "gauge", [number(open)]),
        metric("shop.orders.count", "orders handled", "{order}", "sum", {
          temporality: "cumulative",
          monotonic: true,
          points: counts.map(([status, count]) => number(count, startTime, [text("status", status)])),
        }),
        metric("shop.order.duration", "time from an order to its end", "s", "histogram", {
          temporality: "cumulative",
          points: [duration],
        }),
      ],
    };
  }
}

function record(progress, { status, seconds }) {
  progress.counts[status] = (progress.counts[status] ?? 0) + 1;
  const bucket = BOUNDS.findIndex((bound) => seconds <= bound);
  progress.buckets[bucket < 0 ? BOUNDS.length : bucket] += 1;
  progress.seconds += seconds;
}
