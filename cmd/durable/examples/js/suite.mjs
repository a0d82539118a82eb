// For the tests: drives an executor in another process with N executions at once, and tries everything else that a client does.
import assert from "node:assert/strict";
import { connect } from "@nats-io/transport-node";
import { Kvm } from "@nats-io/kv";
import { Svcm } from "@nats-io/services";
import { decode } from "@msgpack/msgpack";
import { Durable, ExecutionError, newId } from "./durable.mjs";

const nc = await connect({ servers: process.env.NATS_URL });
const durable = new Durable(nc);
const done = (what) => console.log(`ok ${what}`);

// Outputs: of one, of a parent with a finalize, of one that gathers, of a large one.
assert.equal(await durable.run("greet", { name: "world" }), "hello, world");
assert.equal(await durable.run("packed", { name: "world" }), "hello, world"); // answers in MessagePack
assert.equal(await durable.run("sum", 5), 10);
assert.deepEqual((await durable.run("fanOut", 3)).childrenOutputs.map((c) => c.output), [0, 1, 2]);
assert.equal((await durable.run("large", 3 << 20)).length, 3 << 20);
done("outputs");

// Idempotency.
await durable.enqueue("greet", { name: "world" }, { id: "order-42" });
await durable.enqueue("greet", { name: "world" }, { id: "order-42" });
assert.equal(await durable.output(await durable.wait("order-42")), "hello, world");
await durable.enqueue("greet", { name: "moon" }, { id: "order-42" });
assert.equal(await durable.output(await durable.wait("order-42")), "hello, world");
done("one id");

// Options, and what is refused.
const began = Date.now();
await durable.run("greet", { name: "later" }, { options: { "Durable-Delay": 1500 } });
assert.ok(Date.now() - began >= 1500);
await assert.rejects(durable.run("greet", { name: 5 }), (err) => err instanceof ExecutionError && err.record.error.kind === "invalid_input" && /name/.test(err.message));
await assert.rejects(durable.run("greet", {}, { options: { "Durable-Timeout": "soon" } }), /header Durable-Timeout: "soon"/);
await assert.rejects(durable.run("fails", null), /no luck/);
done("refusals");

// The API.
const { executionId } = await durable.api("enqueue", { taskId: "slow", input: 3_600_000 });
assert.equal((await durable.api("wait", { executionId, timeoutMs: 200 })).finishedAt, undefined);
const cancelled = durable.wait(executionId);
await durable.api("cancel", { executionId, reason: "enough" });
assert.equal((await cancelled).error.message, "enough");
await assert.rejects(durable.api("cancel", { executionId }), { code: 409, name: "finished" });
await assert.rejects(durable.api("get", { executionId: "nosuch" }), { code: 404, name: "not_found" });
await assert.rejects(durable.api("enqueue", { taskId: "greet", input: {} }), { code: 422, name: "invalid_input" });
const asleep = (await durable.api("enqueue", { taskId: "approve", input: "?" })).executionId;
while ((await durable.api("get", { executionId: asleep })).status !== "running");
await durable.api("wake", { executionId: asleep, output: { by: "me" } });
assert.deepEqual(await durable.output(await durable.wait(asleep)), { by: "me" });
const { tasks } = await durable.api("tasks");
assert.ok(tasks.find((t) => t.taskId === "greet").inputSchema.properties.name);
done("api");

// Discovery.
const found = [];
for await (const info of await new Svcm(nc).client().info("durable-api")) found.push(info);
assert.ok(found.length >= 1 && found[0].endpoints.some((e) => e.subject === "durable.api.enqueue"));
done("services");

// Watch records as they change.
const kv = await new Kvm(nc).open("durable-executions");
const watched = newId();
const changes = await kv.watch({ key: watched });
await durable.enqueue("slow", 300, { id: watched });
const seen = [];
for await (const e of changes) {
  seen.push(decode(e.value).status);
  if (seen.at(-1) === "completed") break;
}
assert.deepEqual(seen, ["running", "completed"]);
done("watch");

// Many.
const n = Number(process.env.MANY ?? 10_000);
const ids = new Set(Array.from({ length: n }, () => newId()));
const ended = nc.subscribe("durable.ended.*");
const start = Date.now();
const collect = (async () => {
  const left = new Set(ids);
  for await (const m of ended) {
    const id = m.subject.slice("durable.ended.".length);
    if (!left.delete(id)) continue;
    assert.equal(decode(m.data).status, "completed");
    if (!left.size) return;
  }
})();
const queue = [...ids];
await Promise.all(Array.from({ length: 256 }, async () => {
  while (queue.length) {
    const id = queue.pop();
    await durable.enqueue("greet", { name: id }, { id, options: { "Durable-Exclusive": 0 } });
  }
}));
const enqueued = Date.now();
await collect;
console.log(`ok ${n} executions: enqueued in ${enqueued - start} ms, completed in ${Date.now() - start} ms`);
for (const id of [...ids].slice(0, 100)) assert.equal(await durable.output(await durable.record(id)), `hello, ${id}`);
await nc.drain();
