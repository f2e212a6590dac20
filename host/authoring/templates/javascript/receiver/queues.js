// Says how long queues are.

import { decode } from "./utf8.js";

// An error of the contract is thrown as a case of collect-error.
const fail = (tag, message) => {
  throw { tag, val: `/api/queues: ${message}` };
};

export class Queues {
  // `config` satisfies the schema of plugin.toml, without the token: the host keeps that and signs in itself.
  constructor(config, host) {
    this.url = `${config.host.replace(/\/+$/, "")}/api/queues`;
    this.host = host;
  }

  collect() {
    const points = this.read().map(({ name, length }) => ({
      attributes: [{ key: "queue", value: { tag: "text", val: name } }],
      startTime: 0,
      time: 0, // The host knows.
      value: { tag: "integer", val: length }, // A number, though it has 64 bits: whole up to 2^53.
      exemplars: [],
    }));
    const gauge = {
      name: "{{ident}}.queue.length",
      description: "items that wait in the queue",
      unit: "{item}",
      metadata: [],
      data: { tag: "gauge", val: points },
    };
    const scope = { name: "{{name}}", version: "0.1.0", attributes: [] };
    try {
      this.host.emit([{ resource: { attributes: [] }, scope, metrics: [gauge] }]);
    } catch (error) {
      const { tag, val } = error.payload ?? error;
      throw { tag: "failed", val: `${tag}: ${val}` };
    }
    return { failures: [], more: false };
  }

  read() {
    let response;
    try {
      response = this.host.send({ method: "get", url: this.url, headers: [], body: undefined });
    } catch (error) {
      const { tag, val } = error.payload ?? error;
      fail("unavailable", val == null ? tag : `${tag}: ${val}`);
    }
    if (response.status !== 200) fail("unavailable", `status ${response.status}`);
    let answer;
    try {
      answer = JSON.parse(decode(response.body));
    } catch (error) {
      fail("invalid-data", error.message);
    }
    const whole =
      Array.isArray(answer?.queues) &&
      answer.queues.every((queue) => typeof queue?.name === "string" && Number.isSafeInteger(queue.length));
    return whole ? answer.queues : fail("invalid-data", "not a list of queues");
  }
}
