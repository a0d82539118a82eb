package codec

// Names of the headers of a ready message: see WIRE.md. Durations and times are
// integer milliseconds, times since the epoch.
const (
	HeaderContentType = "Content-Type"
	// HeaderCreated is when the execution was enqueued. Without it, it is when
	// the server stored the message.
	HeaderCreated = "Durable-Created"
	// HeaderDelay is waited before the first attempt.
	HeaderDelay = "Durable-Delay"
	// HeaderSettled is 1 where the headers are the whole policy. What any other
	// message lacks is the task definition's.
	HeaderSettled = "Durable-Settled"
	// HeaderTimeout bounds an attempt; 0 is none.
	HeaderTimeout        = "Durable-Timeout"
	HeaderRetries        = "Durable-Retries"
	HeaderBaseDelay      = "Durable-Base-Delay"
	HeaderMultiplier     = "Durable-Multiplier"
	HeaderMaxDelay       = "Durable-Max-Delay"
	HeaderJitter         = "Durable-Jitter"
	HeaderOnChildFailure = "Durable-On-Child-Failure"
	// HeaderRetention is how long the tree of a root is kept once the root has
	// finished; 0 is for ever.
	HeaderRetention = "Durable-Retention"
	// HeaderValidated is 1 where the input has passed the task's validator.
	HeaderValidated = "Durable-Validated"
	// HeaderExclusive is 1 where an execution of this id may have been enqueued
	// before, and 0 where it can't have been. Without it, it is 0 in a settled
	// message and 1 in any other.
	HeaderExclusive = "Durable-Exclusive"
	// HeaderSleeping is 1 where no code is run: the execution waits to be woken.
	HeaderSleeping = "Durable-Sleeping"
	// HeaderRetryOf is the root that the execution was started again for.
	HeaderRetryOf = "Durable-Retry-Of"
	// HeaderMetadata begins the name of a header for each pair of the metadata: the
	// key is behind it, as it is, and the value is the header's.
	HeaderMetadata = "Durable-Meta-"
	// HeaderHint is 1 in a message without a body whose execution is recorded.
	HeaderHint = "Durable-Hint"
	// HeaderDeliveries counts how often a message had been delivered when it was
	// given, as it was, to the timers, which begin to count anew.
	HeaderDeliveries = "Durable-Deliveries"
	// HeaderVersion is the version of the wire that who reads the message must know;
	// without it, the first.
	HeaderVersion = "Durable-Version"
	// HeaderWrite names one write of a record, so that its writer recognises it.
	HeaderWrite = "Durable-Write"
)
