// Use the API, which needs only JSON: enqueue, wait, cancel, list.
//   node api.mjs      NATS_URL says where the server is
import { connect } from "@nats-io/transport-node";

const nc = await connect({ servers: process.env.NATS_URL ?? "127.0.0.1:4222" });
async function durable(endpoint, request, timeout = 30_000) {
  const m = await nc.request(`durable.api.${endpoint}`, JSON.stringify(request), { timeout });
  const answer = m.json();
  if (m.headers?.get("Nats-Service-Error-Code")) throw new Error(`${answer.error.code}: ${answer.error.message}`);
  return answer;
}

const { executionId } = await durable("enqueue", { taskId: "greet", input: { name: "world" }, policy: { maxRetries: 3 } });
let execution;
do {
  execution = await durable("wait", { executionId, timeoutMs: 20_000 });
} while (!execution.finishedAt);
console.log(execution.status, execution.output);

const late = await durable("enqueue", { taskId: "greet", input: { name: "nobody" }, policy: { sleepMsBeforeRun: 3_600_000 } });
await durable("cancel", { executionId: late.executionId, reason: "not needed after all" });
const { executions } = await durable("list", { taskId: "greet", limit: 2 });
console.log(executions.map((x) => x.status).join(" "));
await nc.drain();
