// The least that it takes: one publish, and waiting for the end. durable.mjs has what a service needs beyond it.
import { connect, nuid } from "@nats-io/transport-node";
import { jetstream } from "@nats-io/jetstream";

const nc = await connect({ servers: process.env.NATS_URL ?? "127.0.0.1:4222" });
const id = nuid.next();
const ended = nc.subscribe(`durable.ended.${id}`); // first: the end must not be missed
await nc.flush();
await jetstream(nc).publish(`durable.ready.default.greet.${id}`, JSON.stringify({ name: "world" }));

// A notice may be lost, come twice, or be empty: it only says when to look. So look, wait
// for a notice or for a while, and look again, for a minute in all.
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
if (execution.status === "completed") console.log(execution.status, JSON.stringify(execution.output)); // no output is null
else console.log(execution.status, execution.error?.message);
await nc.drain();
