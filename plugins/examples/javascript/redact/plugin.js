// The component: what Kiln calls. Everything that can be tested is in redact.js.

import { Redact } from "./redact.js";

let redact;

export function configure(config) {
  redact = new Redact(JSON.parse(config));
}

export function process(view) {
  return redact.process(view);
}
