// For the tests: enqueues an execution and watches its record until it has completed.
import { connect, nuid } from "@nats-io/transport-node";
import { jetstream } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { decode } from "@msgpack/msgpack";

const nc = await connect({ servers: process.env.NATS_URL });
const id = nuid.next();
const kv = await new Kvm(nc).open("durable-executions");
const changes = await kv.watch({ key: id });
await jetstream(nc).publish(`durable.ready.default.greet.${id}`, JSON.stringify({ name: "world" }));
for await (const change of changes) {
  const { status } = decode(change.value);
  if (status !== "completed") continue;
  console.log(status);
  break;
}
await nc.drain();
