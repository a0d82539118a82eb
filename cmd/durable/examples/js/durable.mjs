// A client of durable executions in JavaScript, written from codec/WIRE.md alone: enqueue
// with one publish, wait by a notice, read records and outputs from the bucket. Copy it.
import { createHash, randomBytes } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { headers } from "@nats-io/transport-node";
import { jetstream } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { decode } from "@msgpack/msgpack";

const finished = new Set(["completed", "failed", "timed_out", "children_tasks_failed", "finalize_task_failed", "cancelled"]);

/** newId returns an id that is unique and sorts by time: te_, 48 bits of milliseconds, 80 random bits. */
export function newId(now = Date.now()) {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(now, 0, 6);
  randomBytes(10).copy(bytes, 6);
  return "te_" + base32hex(bytes);
}

/** childId returns the id of child number step of parent, or of its finalize if step is "f". */
export function childId(parent, step) {
  const dot = parent.indexOf(".");
  if (dot < 0) return `${parent}.${step}`;
  const root = parent.slice(0, dot);
  let path = parent.slice(dot + 1);
  if (path.length + 1 + String(step).length > 40) {
    path = "h" + base32hex(createHash("sha256").update(path).digest().subarray(0, 15));
  }
  return `${root}.${path}-${step}`;
}

function base32hex(bytes) {
  let bits = 0n;
  for (const b of bytes) bits = (bits << 8n) | BigInt(b);
  const chars = Math.ceil((bytes.length * 8) / 5);
  return (bits << BigInt(chars * 5 - bytes.length * 8)).toString(32).padStart(chars, "0");
}

/** ExecutionError is thrown for an execution that did not complete. */
export class ExecutionError extends Error {
  constructor(record) {
    super(`execution ${record.executionId} of task ${record.taskId} ${record.status}: ${record.error?.message ?? ""}`);
    this.record = record;
  }
}

export class Durable {
  constructor(nc, { namespace = "durable", keys = {} } = {}) {
    Object.assign(this, { nc, ns: namespace, keys, js: jetstream(nc) });
  }

  /**
   * enqueue stores an execution and returns its id once the server has it. Options are headers of the
   * ready message: { "Durable-Delay": 5000 }. An id that is given may be given again: nothing runs twice.
   */
  async enqueue(task, input, { id, queue = "default", options = {} } = {}) {
    const h = headers();
    h.set("Content-Type", "application/json");
    if (id === undefined) {
      id = newId();
      h.set("Durable-Exclusive", "0"); // no other execution has this id: the executor need not check
    }
    for (const [name, value] of Object.entries(options)) h.set(name, String(value));
    try {
      await this.js.publish(`${this.ns}.ready.${queue}.${task}.${id}`, JSON.stringify(input ?? null), { headers: h });
    } catch (err) {
      // 10077 has two meanings: the id is queued or running already, which is what was asked for, or the queue is full.
      if (err.code !== 10077 || !err.message.includes("per subject")) throw err;
    }
    return id;
  }

  /** record returns what is recorded of an execution, or undefined if nothing is yet. */
  async record(id) {
    // Read from the leader: a replica that lags may lack the end of a child whose parent has finished.
    this.kv ??= await new Kvm(this.nc).open(`${this.ns}-executions`, { allow_direct: false });
    const entry = await this.kv.get(id);
    if (!entry || entry.operation !== "PUT") return undefined;
    return this.decode(entry.value);
  }

  decode(bytes) {
    const record = decode(bytes);
    if (record.v !== 1) throw new Error(`record ${record.executionId} has version ${record.v}`);
    return record;
  }

  /**
   * run enqueues and waits for the output. It listens before it enqueues, so that the end is not missed,
   * and looks for itself now and then, since a notice may get lost.
   */
  async run(task, input, options = {}) {
    const id = options.id ?? newId();
    const ended = this.listen(id);
    try {
      await this.enqueue(task, input, { ...options, id });
      return await this.output(await this.until(id, ended));
    } finally {
      ended.unsubscribe();
    }
  }

  /** wait returns the record of an execution once it has finished. */
  async wait(id) {
    const ended = this.listen(id);
    try {
      return await this.until(id, ended);
    } finally {
      ended.unsubscribe();
    }
  }

  listen(id) {
    return this.nc.subscribe(`${this.ns}.ended.${id}`);
  }

  async until(id, ended) {
    const notices = ended[Symbol.asyncIterator]();
    let notice = notices.next();
    for (let pause = 2000; ; pause = Math.min(2 * pause, 30_000)) {
      const record = await this.record(id);
      if (record && finished.has(record.status)) return record;
      let timer;
      const heard = await Promise.race([notice, new Promise((passed) => (timer = setTimeout(passed, pause)))]);
      clearTimeout(timer);
      if (!heard) continue;
      notice = notices.next();
      if (!heard.value?.data.length) continue; // the record is too long for a notice
      const told = this.decode(heard.value.data);
      if (finished.has(told.status)) return told;
    }
  }

  /** output returns the output of a finished execution, or throws an ExecutionError. */
  async output(record) {
    if (record.status !== "completed") throw new ExecutionError(record);
    if (record.outputOf) return this.output(await this.must(record.outputOf));
    const own = await this.payload(record, record.output, record.outputType);
    if (!record.gathers) return own;
    const childrenOutputs = [];
    for (let i = 0; i < (record.children ?? 0); i++) {
      const c = await this.must(childId(record.executionId, i));
      const child = { index: i, taskId: c.taskId, executionId: c.executionId, status: c.status };
      if (c.status === "completed") child.output = await this.output(c);
      else child.error = c.error?.message;
      childrenOutputs.push(child);
    }
    return { output: own, childrenOutputs };
  }

  async must(id) {
    const record = await this.record(id);
    if (!record) throw new Error(`execution ${id} is gone`);
    return record;
  }

  /** payload decodes an input or output of a record. */
  async payload(record, bytes, type = "application/msgpack") {
    if (!bytes?.length) return null;
    let [plain, list] = type.split("; enc=");
    for (const layer of (list?.split("+") ?? []).reverse()) {
      if (layer === "blob") bytes = await this.blob(record.executionId, Buffer.from(bytes).toString());
      else if (layer === "gzip") bytes = gunzipSync(bytes);
      else throw new Error(`no key for layer ${layer}`);
    }
    if (plain === "application/json") return JSON.parse(Buffer.from(bytes).toString());
    if (plain === "application/msgpack") return decode(bytes);
    throw new Error(`unknown content type ${plain}`);
  }

  /** blob reads a payload that is kept in several messages below the root. */
  async blob(id, reference) {
    const [sum, size, chunks] = reference.split(" ");
    const parts = [];
    for (let k = 0; k < Number(chunks); k++) {
      const entry = await this.kv.get(`${id.split(".")[0]}.=blob.${sum}.${chunks}.${k}`);
      if (!entry) throw new Error(`payload ${sum} is gone`);
      parts.push(entry.value);
    }
    const bytes = Buffer.concat(parts);
    if (bytes.length !== Number(size) || createHash("sha256").update(bytes).digest("hex") !== sum) {
      throw new Error(`payload ${sum} is damaged`);
    }
    return bytes;
  }

  /** api makes a request of the API service. It throws an error with code, name and message. */
  async api(endpoint, request = {}, timeout = 30_000) {
    const m = await this.nc.request(`${this.ns}.api.${endpoint}`, JSON.stringify(request), { timeout });
    const code = m.headers?.get("Nats-Service-Error-Code");
    const answer = m.json();
    if (code) throw Object.assign(new Error(answer.error.message), { code: Number(code), name: answer.error.code });
    return answer;
  }
}
