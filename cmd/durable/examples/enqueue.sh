#!/bin/sh
# Enqueue, wait, cancel and watch with the nats command line (github.com/nats-io/natscli)
# and nothing else. NATS_URL says where the server is.
set -eu

# One publish enqueues. -J waits until it is stored; the last part of the subject is the
# id, of which there is one. Templates would look for {{ in the body.
id="order-$$"
nats pub -q -J --no-templates "durable.ready.default.greet.$id" '{"name":"world"}'

# Wait for the end, 20 s at most.
nats req --raw --timeout 30s durable.api.wait "{\"executionId\":\"$id\",\"timeoutMs\":20000}"

# Options are headers: an hour from now. Then think better of it.
nats pub -q -J --no-templates -H Durable-Delay:3600000 "durable.ready.default.greet.$id-late" '{"name":"nobody"}'
nats req --raw durable.api.cancel "{\"executionId\":\"$id-late\",\"reason\":\"not needed after all\"}"

# What there is.
nats req --raw durable.api.list '{"taskId":"greet","limit":2}'
