// The shortest client: it publishes one message and waits for the end. durable.mjs is a client for services.
import { connect, nuid } from "@nats-io/transport-node";
import { jetstream } from "@nats-io/jetstream";

const nc = await connect({ servers: process.env.NATS_URL ?? "127.0.0.1:4222" });
const id = nuid.next();
const ended = nc.subscribe(`durable.ended.${id}`); // before the publish, so that no notice is missed
await nc.flush();
await jetstream(nc).publish(`durable.ready.default.greet.${id}`, JSON.stringify({ name: "world" }));

// Read the execution. Until it has ended, wait for a notice or for a pause, then read it once
// more, for one minute in total. A notice may get lost, come twice or be empty, so it only tells
// when to read.
const notices = ended[Symbol.asyncIterator]();
let notice = notices.next();
let execution;
for (let pause = 2000, until = Date.now() + 60_000; ; pause = Math.min(2 * pause, 30_000)) {
  const answer = await nc.request("durable.api.get", JSON.stringify({ executionId: id }), { timeout: 5000 });
  execution = answer.json();
  if (execution.error && !execution.executionId) throw new Error(`${execution.error.code}: ${execution.error.message}`);
  if (execution.finishedAt) break;
  if (Date.now() > until) throw new Error(`${id} is ${execution.status} after a minute; it goes on`);
  let timer;
  const heard = await Promise.race([notice, new Promise((passed) => (timer = setTimeout(passed, pause)))]);
  clearTimeout(timer);
  if (heard) notice = notices.next();
}
if (execution.status === "completed") console.log(execution.status, JSON.stringify(execution.output)); // null if there is no output
else console.log(execution.status, execution.error?.message);
await nc.drain();
