// For the tests: enqueues an execution and waits for its end by the API's wait.
import { connect, nuid } from "@nats-io/transport-node";
import { jetstream } from "@nats-io/jetstream";

const nc = await connect({ servers: process.env.NATS_URL });
const executionId = nuid.next();
await jetstream(nc).publish(`durable.ready.default.greet.${executionId}`, JSON.stringify({ name: "world" }));
const answer = await nc.request("durable.api.wait", JSON.stringify({ executionId, timeoutMs: 20_000 }), { timeout: 30_000 });
console.log(answer.json().status);
await nc.drain();
