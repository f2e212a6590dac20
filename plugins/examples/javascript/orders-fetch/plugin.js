// The component: what Kiln calls, with what Kiln offers in its hands. Everything that can be tested is in orders.js.

import { now } from "kiln:plugin/clock@0.1.0";
import { metrics } from "kiln:plugin/emit@0.1.0";
import { get, set } from "kiln:plugin/state@0.1.0";

import { Orders } from "./orders.js";

const host = { now, emit: metrics, state: { get, set } };
let orders;

export function configure(config) {
  orders = new Orders(JSON.parse(config), host);
}

export async function collect() {
  try {
    return await orders.collect();
  } catch (error) {
    // Whatever else is thrown is a mistake of ours, and would be a trap that tells nobody what it was.
    throw typeof error?.tag === "string" ? error : { tag: "failed", val: String(error?.stack ?? error) };
  }
}
