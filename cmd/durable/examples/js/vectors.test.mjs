// Reads the test vectors of the wire, in the directory that DURABLE_VECTORS names.
import { test } from "node:test";
import assert from "node:assert/strict";
import { createDecipheriv, createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { decode, encode } from "@msgpack/msgpack";
import { childId } from "./durable.mjs";

const dir = process.env.DURABLE_VECTORS;
const read = (name) => JSON.parse(readFileSync(`${dir}/${name}.json`));
const bytesOf = (v) => Buffer.from(v.bytes, "hex");

// asJSON is what MessagePack says, as the vectors have it: byte strings in base64, times as text.
function asJSON(v) {
  if (v instanceof Uint8Array) return Buffer.from(v).toString("base64");
  if (v instanceof Date) return v.toISOString().replace(/\.000Z$/, "Z");
  if (Array.isArray(v)) return v.map(asJSON);
  if (v && typeof v === "object") return Object.fromEntries(Object.entries(v).map(([k, e]) => [k, asJSON(e)]));
  return v;
}

test("every file is read here", () => {
  assert.deepEqual(readdirSync(dir).sort(), ["bucket.json", "control.json", "edges.json", "ids.json", "pages.json", "payloads.json", "ready.json", "records.json", "timers.json"]);
});

for (const file of ["records", "control", "pages"]) {
  for (const v of read(file)) {
    test(`${file}: ${v.name}`, () => assert.deepEqual(asJSON(decode(bytesOf(v))), v.meaning));
  }
}

for (const v of read("ids")) {
  test(`ids: ${v.name}`, () => {
    assert.equal(childId(v.meaning.parentId, v.meaning.step), v.meaning.executionId);
    assert.equal(bytesOf(v).toString(), v.meaning.executionId);
  });
}

const key = Buffer.from(Array.from({ length: 32 }, (_, i) => i)); // k1 of the vectors

function open(type, bytes) {
  const [plain, list] = type.split("; enc=");
  const layers = list?.split("+") ?? [];
  while (layers.length) {
    const whole = `${plain}; enc=${layers.join("+")}`;
    const layer = layers.pop();
    if (layer === "gzip") {
      bytes = gunzipSync(bytes);
    } else {
      assert.equal(layer, "aes-gcm.k1");
      const d = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, 12));
      d.setAAD(Buffer.from(whole));
      d.setAuthTag(bytes.subarray(-16));
      bytes = Buffer.concat([d.update(bytes.subarray(12, -16)), d.final()]);
    }
  }
  return plain === "application/json" ? JSON.parse(bytes.toString()) : asJSON(decode(bytes));
}

for (const v of read("payloads")) {
  test(`payloads: ${v.name}`, () => {
    const value = open(v.headers["Content-Type"], bytesOf(v));
    assert.deepEqual(value, v.meaning);
    // JavaScript writes the same bytes as Go, if the value is not random and JSON can express it.
    if (!v.readOnly && !/bytes|time|2\^53|-2147483649|JSON/.test(v.name)) {
      assert.deepEqual(Buffer.from(encode(value, { sortKeys: true })).toString("hex"), v.bytes);
    }
  });
}

// JavaScript reads the same values as Go does into an interface, except invalid Unicode and 32-bit floats.
for (const v of read("edges").filter((v) => "any" in v.meaning && !/UTF-8|ud800|32 bits/.test(v.name))) {
  test(`edges: ${v.name}`, () => assert.deepEqual(open(v.headers["Content-Type"], bytesOf(v)), v.meaning.any));
}

test("bucket: a payload that is kept beside", () => {
  const vectors = read("bucket");
  const mark = vectors.find((v) => v.name.startsWith("the reference"));
  const [sum, size, chunks] = bytesOf(mark).toString().split(" ");
  const parts = Array.from({ length: Number(chunks) }, (_, k) => vectors.find((v) => v.subject === `${mark.subject}.${chunks}.${k}`));
  const whole = Buffer.concat(parts.map(bytesOf));
  assert.equal(whole.length, Number(size));
  assert.equal(createHash("sha256").update(whole).digest("hex"), sum);
  assert.deepEqual(mark.meaning, { sha256: sum, bytes: Number(size), chunks: Number(chunks) });
});

test("bucket: the namespace, and what is deleted", () => {
  const vectors = read("bucket");
  for (const v of vectors.filter((v) => v.name.startsWith("namespace"))) assert.deepEqual(JSON.parse(bytesOf(v)), v.meaning);
  assert.equal(vectors.find((v) => v.name === "grave").headers["KV-Operation"], "DEL");
});

// Ready messages of a program with the task's definition: the body has everything.
const isDue = (v) => bytesOf(v)[0] === 0xc1;
for (const v of read("ready").filter(isDue)) {
  test(`ready: ${v.name}`, () => {
    const [, , queue, task, ...id] = v.subject.split(".");
    const { v: version = 1, createdAt, policy, ...rest } = asJSON(decode(bytesOf(v).subarray(1)));
    const startAt = createdAt + (policy?.sleepMsBeforeRun ?? 0);
    const want = { v: version, executionId: id.join("."), taskId: task, queue, status: "ready", createdAt, startAt, changedAt: createdAt, ...rest };
    assert.deepEqual(v.meaning.record, policy ? { ...want, policy } : want);
    assert.equal(v.meaning.settled, true);
    assert.equal(v.meaning.exclusive, v.headers?.["Durable-Exclusive"] === "1");
  });
}

// All other ready messages, read as in codec/WIRE.md: the headers have the options.
for (const v of read("ready")) {
  if (!v.meaning.record || isDue(v)) continue;
  test(`ready: ${v.name}`, () => {
    const [, , queue, task, ...id] = v.subject.split(".");
    const h = v.headers ?? {};
    const r = v.meaning.record;
    assert.deepEqual([queue, task, id.join(".")], [r.queue, r.taskId, r.executionId]);
    assert.equal(v.meaning.settled, h["Durable-Settled"] === "1");
    assert.equal(v.meaning.exclusive, (h["Durable-Exclusive"] ?? (v.meaning.settled ? "0" : "1")) === "1");
    assert.equal(r.createdAt, Number(h["Durable-Created"] ?? 1_700_000_000_123));
    assert.equal(r.startAt, r.createdAt + Number(h["Durable-Delay"] ?? 0));
    const body = bytesOf(v);
    assert.equal(r.input, (body.length ? body : Buffer.from("null")).toString("base64"));
    assert.equal(r.inputType ?? "application/msgpack", h["Content-Type"] ?? "application/json");
    const p = r.policy ?? {};
    for (const [header, field] of [["Timeout", "timeoutMs"], ["Retries", "maxRetries"], ["Base-Delay", "baseDelayMs"], ["Multiplier", "delayMultiplier"],
      ["Max-Delay", "maxDelayMs"], ["Jitter", "jitter"], ["Delay", "sleepMsBeforeRun"]]) {
      assert.equal(p[field] ?? 0, Number(h[`Durable-${header}`] ?? 0), field);
    }
    if ("Durable-Retention" in h) assert.equal(p.retentionMs, Number(h["Durable-Retention"]));
    assert.equal(r.sleeping ?? false, h["Durable-Sleeping"] === "1");
    const pairs = Object.entries(h).filter(([name]) => name.startsWith("Durable-Meta-")).map(([name, value]) => [name.slice("Durable-Meta-".length), value]);
    assert.deepEqual(r.metadata ?? {}, Object.fromEntries(pairs));
  });
}
