// The component: what Kiln calls, with what Kiln offers in its hands. Everything that can be tested is in queues.js.

import { metrics } from "kiln:plugin/emit@0.1.0";
import { send } from "kiln:plugin/http@0.1.0";

import { Queues } from "./queues.js";

let queues;

export function configure(config) {
  queues = new Queues(JSON.parse(config), { send, emit: metrics });
}

export function collect() {
  try {
    return queues.collect();
  } catch (error) {
    // Whatever else is thrown is a mistake of ours, and would be a trap that tells nobody what it was.
    throw typeof error?.tag === "string" ? error : { tag: "failed", val: String(error?.stack ?? error) };
  }
}
