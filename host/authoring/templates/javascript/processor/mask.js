// Masks the values of attributes of resources.

const value = { tag: "text", val: "***" };

export class Mask {
  // `config` satisfies the schema of plugin.toml.
  constructor({ keys }) {
    this.keys = new Set(keys);
  }

  process(view) {
    const edits = [];
    view.resources.forEach(({ attributes }, target) => {
      for (const { key } of attributes) {
        if (this.keys.has(key)) edits.push({ tag: "set-resource-attribute", val: { target, key, value } });
      }
    });
    return edits;
  }
}
