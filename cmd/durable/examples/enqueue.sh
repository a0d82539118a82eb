#!/bin/sh
# Enqueue, wait, cancel and list with the nats command line (github.com/nats-io/natscli)
# and nothing else. NATS_URL says where the server is.
set -eu

# One publish enqueues. -J waits until the server has stored the message. The last part of
# the subject is the id. --no-templates sends a body that contains {{ unchanged.
id="order-$$"
nats pub -q -J --no-templates "durable.ready.default.greet.$id" '{"name":"world"}'

# Wait until the execution has ended, for at most 20 s.
nats req --raw --timeout 30s durable.api.wait "{\"executionId\":\"$id\",\"timeoutMs\":20000}"

# Options are headers. Enqueue an execution that starts in an hour, then cancel it.
nats pub -q -J --no-templates -H Durable-Delay:3600000 "durable.ready.default.greet.$id-late" '{"name":"nobody"}'
nats req --raw durable.api.cancel "{\"executionId\":\"$id-late\",\"reason\":\"not needed after all\"}"

# List the two newest executions of the task.
nats req --raw durable.api.list '{"taskId":"greet","limit":2}'
