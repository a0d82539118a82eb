// One publish enqueues; a notice tells of the end; the record has the output.
//   node enqueue.mjs [TASK [JSON]]      NATS_URL says where the server is
import { connect } from "@nats-io/transport-node";
import { Durable } from "./durable.mjs";

const [task = "greet", input = '{"name":"world"}'] = process.argv.slice(2);
const nc = await connect({ servers: process.env.NATS_URL ?? "127.0.0.1:4222" });
console.log(await new Durable(nc).run(task, JSON.parse(input)));
await nc.drain();
