package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/durable-execution/durable/engine"
)

// A parent spawns children, which run in parallel on any executor. The finalize receives
// their outcomes, and its output is the parent's.
func ExampleBindParent() {
	length := engine.Define[string, int]("length")
	total := engine.Define[[]string, string]("total")

	ctx, client, stop := start(
		engine.Bind(length, func(_ context.Context, word string) (int, error) {
			return len(word), nil
		}),
		engine.BindParent(total, func(_ context.Context, words []string, children *engine.Children) (int, error) {
			for _, word := range words {
				length.Spawn(children, word)
			}
			return len(words), nil
		}, func(_ context.Context, j engine.Joined[[]string, int]) (string, error) {
			sum := 0
			for _, r := range length.Results(j.Children) {
				n, err := r.Get()
				if err != nil {
					return "", err
				}
				sum += n
			}
			return fmt.Sprintf("%d words, %d letters", j.Output, sum), nil
		}))
	defer stop()

	handle, err := total.Enqueue(ctx, client, []string{"hello", "durable", "world"})
	must(err)
	fmt.Println(handle.Wait(ctx))
	// Output: 3 words, 17 letters <nil>
}

// With WaitAll, a child that fails does not fail its parent: the finalize sees each outcome.
func ExampleChildPolicy() {
	check := engine.Define[string, bool]("check")
	report := engine.Define[[]string, string]("report", engine.WaitAll)

	ctx, client, stop := start(
		engine.Bind(check, func(_ context.Context, host string) (bool, error) {
			if host == "b" {
				return false, errors.New("unreachable")
			}
			return true, nil
		}),
		engine.BindParent(report, func(_ context.Context, hosts []string, children *engine.Children) ([]string, error) {
			for _, host := range hosts {
				check.Spawn(children, host)
			}
			return hosts, nil
		}, func(_ context.Context, j engine.Joined[[]string, []string]) (string, error) {
			var lines []string
			for i, child := range j.Children {
				lines = append(lines, fmt.Sprint(j.Output[i], " ", child.Status, " ", child.Message))
			}
			return strings.TrimSpace(strings.Join(lines, "; ")), nil
		}))
	defer stop()

	handle, err := report.Enqueue(ctx, client, []string{"a", "b"})
	must(err)
	fmt.Println(handle.Wait(ctx))
	// Output: a completed ; b failed unreachable <nil>
}

// Steps run one after the other. Each receives the output of the one before.
func ExampleBindSequence() {
	trim := engine.Define[string, string]("trim")
	count := engine.Define[string, int]("count")
	measure := engine.Define[string, int]("measure")

	ctx, client, stop := start(
		engine.Bind(trim, func(_ context.Context, text string) (string, error) {
			return strings.TrimSpace(text), nil
		}),
		engine.Bind(count, func(_ context.Context, text string) (int, error) {
			return len(text), nil
		}),
		engine.BindSequence(measure, engine.Seq2(trim, count)))
	defer stop()

	handle, err := measure.Enqueue(ctx, client, "  hello ")
	must(err)
	fmt.Println(handle.Wait(ctx))
	// Output: 5 <nil>
}
