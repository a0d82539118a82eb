package api

import (
	"context"
	"errors"
	"strings"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

// An Error is the answer to a request that failed. The codes are HTTP's where HTTP has a
// suitable one; the name tells errors with the same code apart.
type Error struct {
	Code    int    `json:"-"`
	Name    string `json:"code"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Message }

func invalid(err error) error {
	return &Error{Code: 400, Name: "invalid_request", Message: err.Error()}
}

// known has the errors that requests can cause, the more specific ones first.
var known = []struct {
	is   error
	code int
	name string
}{
	{engine.ErrInvalidInput, 422, "invalid_input"},
	{engine.ErrInvalidOutput, 422, "invalid_output"},
	{engine.ErrInvalidOption, 400, "invalid_request"},
	{engine.ErrTooLarge, 413, "too_large"},
	{engine.ErrIDConflict, 409, "id_conflict"},
	{engine.ErrFinished, 409, "finished"},
	{engine.ErrActive, 409, "active"},
	{engine.ErrNotSleeping, 409, "not_sleeping"},
	{engine.ErrNotRoot, 409, "not_root"},
	{engine.ErrNotFound, 404, "not_found"},
	{engine.ErrQueueFull, 429, "queue_full"},
	{engine.ErrShutdown, 503, "shutting_down"},
	{engine.ErrUnavailable, 503, "unavailable"},
	{engine.ErrClosed, 503, "unavailable"},
	{codec.ErrKey, 409, "no_key"},
}

// errorOf returns the error that a client gets. An unknown error comes from the store, which
// did not answer.
func errorOf(err error) *Error {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e
	}
	for _, k := range known {
		if errors.Is(err, k.is) {
			return &Error{Code: k.code, Name: k.name, Message: err.Error()}
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &Error{Code: 503, Name: "unavailable", Message: "no answer in time: " + err.Error()}
	}
	return &Error{Code: 500, Name: "internal", Message: err.Error()}
}

// oneLine returns s in a form that fits into a header.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' }), " ")
}
