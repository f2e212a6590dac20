// Makes a component of the bundle: node componentize.mjs TOOLCHAIN. StarlingMonkey brings what browsers have: fetch, which is
// wasi:http here, URL, TextDecoder.

import { readFile, writeFile } from "node:fs/promises";

const { KILN_MODULE, KILN_WIT, KILN_WORLD } = process.env;
const { componentize } = await import(`${process.argv[2]}/node_modules/@bytecodealliance/componentize-js/src/componentize.js`);
const { component } = await componentize(await readFile("build/bundle.js", "utf8"), {
  sourceName: "plugin.js",
  witPath: KILN_WIT,
  worldName: KILN_WORLD,
  // The plugin asks, nobody asks it.
  disableFeatures: ["fetch-event"],
});
await writeFile(KILN_MODULE, component);
