// The least that it takes: one publish, one notice. durable.mjs has what a service needs beyond it.
import { connect, nuid } from "@nats-io/transport-node";
import { jetstream } from "@nats-io/jetstream";
import { decode } from "@msgpack/msgpack";

const nc = await connect({ servers: process.env.NATS_URL ?? "127.0.0.1:4222" });
const id = nuid.next();
const ended = nc.subscribe(`durable.ended.${id}`, { max: 1 }); // first: the end must not be missed
await jetstream(nc).publish(`durable.ready.default.greet.${id}`, JSON.stringify({ name: "world" }));
for await (const notice of ended) {
  const record = decode(notice.data);
  console.log(record.status, Buffer.from(record.output).toString()); // in JSON, as the input is
}
await nc.drain();
