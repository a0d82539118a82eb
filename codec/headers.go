package codec

// Names of the headers of a ready message: see WIRE.md. Durations and times are
// integer milliseconds, times since the epoch.
const (
	HeaderContentType = "Content-Type"
	// HeaderCreated is when the execution was enqueued. The default is the time at which
	// the server stored the message.
	HeaderCreated = "Durable-Created"
	// HeaderDelay is the time to wait before the first attempt.
	HeaderDelay = "Durable-Delay"
	// HeaderSettled is 1 if the headers contain the whole policy. Otherwise the task's
	// definition supplies the fields that the headers lack.
	HeaderSettled = "Durable-Settled"
	// HeaderTimeout limits an attempt; 0 means no limit.
	HeaderTimeout        = "Durable-Timeout"
	HeaderRetries        = "Durable-Retries"
	HeaderBaseDelay      = "Durable-Base-Delay"
	HeaderMultiplier     = "Durable-Multiplier"
	HeaderMaxDelay       = "Durable-Max-Delay"
	HeaderJitter         = "Durable-Jitter"
	HeaderOnChildFailure = "Durable-On-Child-Failure"
	// HeaderRetention is how long the tree of a root is kept once the root has finished; 0
	// means for ever.
	HeaderRetention = "Durable-Retention"
	// HeaderValidated is 1 if the input has passed the task's validator.
	HeaderValidated = "Durable-Validated"
	// HeaderExclusive is 1 if an execution with this id may have been enqueued before, and
	// 0 if it can't have been. The default is 0 in a settled message and 1 in any other.
	HeaderExclusive = "Durable-Exclusive"
	// HeaderSleeping is 1 if the execution runs no code and waits to be woken.
	HeaderSleeping = "Durable-Sleeping"
	// HeaderRetryOf is the root that this execution retries.
	HeaderRetryOf = "Durable-Retry-Of"
	// HeaderMetadata is the prefix of one header per pair of the metadata: the key follows
	// the prefix unchanged, and the value is the header's value.
	HeaderMetadata = "Durable-Meta-"
	// HeaderHint is 1 in a message without a body: the record has the execution.
	HeaderHint = "Durable-Hint"
	// HeaderDeliveries is the number of deliveries that a message had before it was moved to
	// the timers. The server counts the deliveries of the moved message from 1.
	HeaderDeliveries = "Durable-Deliveries"
	// HeaderVersion is the version of the wire that a reader must know to act on the
	// message. The default is 1.
	HeaderVersion = "Durable-Version"
	// HeaderWrite identifies one write of a record, so that its writer recognises it.
	HeaderWrite = "Durable-Write"
)
