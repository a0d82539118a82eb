// For the tests: preloaded by node --import, it decides about the pauses of an example that waits.
// PAUSES=none: each pause is over at once, and the clock has moved on by it. PAUSES=endless: no pause
// is ever over, so that the example goes on only if it hears a notice. Each pause is a line of stderr.
const { setTimeout } = globalThis;
const { now } = Date;
const pauses = new Set([2000, 4000, 8000, 16_000, 30_000]); // of WIRE.md; nats.js has no timer of these lengths
let ahead = 0;

Date.now = () => now() + ahead;
globalThis.setTimeout = (fn, ms, ...args) => {
  if (!pauses.has(ms)) return setTimeout(fn, ms, ...args);
  console.error(`pause ${ms}`);
  if (process.env.PAUSES === "endless") return undefined;
  ahead += ms;
  return setTimeout(fn, 10, ...args); // the event loop has time to read what the server sent
};
