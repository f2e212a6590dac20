// The component: what Kiln calls. Everything that can be tested is in mask.js.

import { Mask } from "./mask.js";

let mask;

export function configure(config) {
  mask = new Mask(JSON.parse(config));
}

export function process(view) {
  return mask.process(view);
}
