// Replaces what matches a pattern in the values of attributes of resources.
//
// Patterns are compiled once. Most values of a batch are alike, so what became of a value is remembered while the batch
// lasts.

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
    return edits;
  }

  redacted(text) {
    return this.patterns.reduce((rest, { pattern, replacement }) => rest.replace(pattern, replacement), text);
  }
}

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
