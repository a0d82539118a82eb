// For the tests: enqueues executions with a megabyte of input, more than the server sends to a watcher
// without a word from it, and watches the records until all have completed.
import { connect, nuid } from "@nats-io/transport-node";
import { jetstream } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { decode } from "@msgpack/msgpack";

const nc = await connect({ servers: process.env.NATS_URL });
const left = new Set(Array.from({ length: 64 }, () => nuid.next()));
for (const id of left) await jetstream(nc).publish(`durable.ready.default.greet.${id}`, JSON.stringify({ name: "x".repeat(16 << 10) }));
const kv = await new Kvm(nc).open("durable-executions");
for await (const change of await kv.watch()) {
  if (!left.has(change.key) || decode(change.value).status !== "completed") continue;
  left.delete(change.key);
  if (!left.size) break;
}
console.log("completed");
await nc.drain();
