package rpc

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
)

// errUnavailable says that a server can't do anything now.
var errUnavailable = errors.New("JetStream is not available")

// Error codes of the server, from its errors.json.
const (
	codeWrongLastSequence         = 10071 // JSStreamWrongLastSequenceErrF
	codeWrongLastSequenceConstant = 10164 // JSStreamWrongLastSequenceConstantErr: another write is in flight
	codeStoreFailed               = 10077 // a limit; the text says which
	codeNoMessage                 = 10037 // JSNoMessageFoundErr
	codeInsufficient              = 10023 // JSInsufficientResourcesErr
	codeNotAvailable              = 10008 // JSClusterNotAvailErr
	codeBatchDisabled             = 10174 // the stream was created before such streams accepted batches
	codeAccountLimit              = 10002 // JSAccountResourcesExceededErr
	codeStorageLimit              = 10047 // JSStorageResourcesExceededErr
	codeMemoryLimit               = 10028 // JSMemoryResourcesExceededErr
	codeNotEnabled                = 10076 // also after the disk has failed
	codeNotEnabledForAccount      = 10039 // JSNotEnabledForAccountErr
)

// Error maps the server's errors to the engine's. Only this function does so.
func Error(e *jetstream.APIError) error {
	switch e.ErrorCode {
	case codeWrongLastSequence, codeWrongLastSequenceConstant:
		return fmt.Errorf("%w: %s", engine.ErrConflict, e.Description)
	case codeNoMessage:
		return engine.ErrNotFound
	case codeNotAvailable, codeInsufficient:
		return fmt.Errorf("%w: %s", errUnavailable, e.Description)
	case codeStoreFailed:
		switch e.Description {
		case "maximum messages per subject exceeded":
			return engine.ErrExists
		case "maximum messages exceeded", "maximum bytes exceeded":
			return fmt.Errorf("%w: %s", engine.ErrQueueFull, e.Description)
		}
		return fmt.Errorf("%w: %w", engine.ErrUnavailable, e) // no space left on device, for instance
	case codeAccountLimit, codeStorageLimit, codeMemoryLimit, codeNotEnabled, codeNotEnabledForAccount:
		return fmt.Errorf("%w: %w", engine.ErrUnavailable, e)
	}
	return e
}
