package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/durable-execution/durable/engine"
)

// The tasks of durable dev show what a task can do: return at once, take long, fail and be
// retried, spawn children, wait for a person.

type greetInput struct {
	Name string `json:"name"`
}

type napInput struct {
	Seconds float64 `json:"seconds"`
}

type flakyInput struct {
	Failures int `json:"failures"`
}

type sumInput struct {
	Numbers []int `json:"numbers"`
}

var (
	sampleGreet   = engine.Define[greetInput, string]("greet")
	sampleNap     = engine.Define[napInput, string]("nap", engine.NoTimeout)
	sampleFlaky   = engine.Define[flakyInput, string]("flaky", engine.Retry{MaxRetries: 10, BaseDelay: time.Second, Multiplier: 1.5, MaxDelay: 10 * time.Second})
	sampleSquare  = engine.Define[int, int]("square")
	sampleSum     = engine.Define[sumInput, int]("sumOfSquares")
	sampleApprove = engine.DefineSleeping[string, bool]("approve")
)

// samples are the tasks of durable dev.
func samples() []engine.Binding {
	return []engine.Binding{
		engine.Bind(sampleGreet, func(_ context.Context, in greetInput) (string, error) { return "hello " + in.Name, nil }),
		engine.Bind(sampleNap, nap),
		engine.Bind(sampleFlaky, flaky),
		engine.Bind(sampleSquare, func(_ context.Context, n int) (int, error) { return n * n, nil }),
		engine.BindParent(sampleSum, spreadSquares, addSquares),
		engine.BindSleeping(sampleApprove),
	}
}

func nap(ctx context.Context, in napInput) (string, error) {
	const most = 1e9 // about 32 years
	if !(in.Seconds >= 0 && in.Seconds <= most) {
		return "", engine.Permanent(fmt.Errorf("%g seconds: want 0 to %g", in.Seconds, most))
	}
	d := time.Duration(in.Seconds * float64(time.Second))
	return "slept " + d.String(), pause(ctx, d)
}

// flaky fails as often as its input says.
func flaky(ctx context.Context, in flakyInput) (string, error) {
	n := engine.FromContext(ctx).Attempt
	if n < in.Failures {
		return "", errors.New("not this time")
	}
	return fmt.Sprintf("attempt %d succeeded", n), nil
}

func spreadSquares(_ context.Context, in sumInput, children *engine.Children) ([]engine.Child[int], error) {
	var list []engine.Child[int]
	for _, n := range in.Numbers {
		list = append(list, sampleSquare.Spawn(children, n))
	}
	return list, nil
}

func addSquares(_ context.Context, j engine.Joined[sumInput, []engine.Child[int]]) (int, error) {
	sum := 0
	for _, child := range j.Output {
		n, err := child.Of(j.Children).Get()
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}
