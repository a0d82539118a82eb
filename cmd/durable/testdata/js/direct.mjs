// For the tests: enqueues an execution and, after its end, reads its record from any replica.
import { connect } from "@nats-io/transport-node";
import { Kvm } from "@nats-io/kv";
import { decode } from "@msgpack/msgpack";
import { Durable, newId } from "./durable.mjs";

const nc = await connect({ servers: process.env.NATS_URL });
const id = newId();
await new Durable(nc).run("greet", { name: "world" }, { id });
const kv = await new Kvm(nc).open("durable-executions", { allow_direct: true });
console.log(decode((await kv.get(id)).value).status);
await nc.drain();
