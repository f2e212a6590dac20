// Replaces what matches a pattern in the values of attributes, of resources and of data points, spans and log records.
//
// Patterns are compiled once. Most values of a batch are alike, so what became of a value is remembered while the batch
// lasts. Points that have the same attributes afterwards are one series, so the host is asked to join them.

export class Redact {
  constructor({ patterns }) {
    this.patterns = patterns.map(({ pattern, replacement = "***" }, index) => {
      try {
        // A function, so that `$&` in the replacement stays as it is.
        return { pattern: new RegExp(pattern, "gu"), replacement: () => replacement };
      } catch (error) {
        throw { field: `/patterns/${index}/pattern`, message: `is no regular expression: ${error.message}` };
      }
    });
  }

  process(view) {
    const known = new Map();
    const redacted = (text) => {
      if (!known.has(text)) known.set(text, this.redacted(text));
      return known.get(text);
    };
    const edits = [];
    view.resources.forEach(({ attributes }, target) => {
      for (const { key, value } of attributes) {
        const after = changed(value, redacted);
        if (after) edits.push({ tag: "set-resource-attribute", val: { target, key, value: after } });
      }
    });
    const metrics = new Set();
    view.points.forEach(({ metric, attributes }, target) => {
      for (const { key, value } of attributes) {
        const after = changed(value, redacted);
        if (!after) continue;
        edits.push({ tag: "set-point-attribute", val: { target, key: view.strings[key], value: after } });
        metrics.add(metric);
      }
    });
    if (view.signal === "metrics") edits.push(...[...metrics].filter(canBeJoined(view)).map(joined));
    return edits;
  }

  redacted(text) {
    return this.patterns.reduce((rest, { pattern, replacement }) => rest.replace(pattern, replacement), text);
  }
}

// Quantiles have no sum, and to ask for one refuses the batch.
const canBeJoined = (view) => (metric) => view.metrics[metric].kind !== "summary";

// The points of a metric that are alike become one.
const joined = (metric) => ({ tag: "aggregate", val: { metric, without: [], gauges: "last" } });

// What the value is to be, if that is something else. Numbers have nothing to redact.
function changed({ tag, val }, redacted) {
  if (tag === "text") {
    const after = redacted(val);
    return after === val ? undefined : { tag, val: after };
  }
  if (tag === "text-list") {
    const after = val.map(redacted);
    return after.every((text, index) => text === val[index]) ? undefined : { tag, val: after };
  }
  return undefined;
}
