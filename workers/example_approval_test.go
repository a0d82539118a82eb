package workers_test

import (
	"context"
	"fmt"
	"time"

	"github.com/durable-execution/durable/engine"
)

// A step of a tree waits for a person. The tree continues days, deploys and restarts later. The
// sleeping execution takes no slot and no memory of an executor.
func Example_humanApproval() {
	type request struct {
		Order  string `json:"order"`
		Amount int    `json:"amount"`
	}
	type decision struct {
		Approved bool   `json:"approved"`
		By       string `json:"by"`
	}
	approval := engine.DefineSleeping[request, decision]("approval", engine.Timeout(72*time.Hour))
	order := engine.Define[request, string]("order")

	ctx, client, stop := serve(
		engine.BindParent(order, func(_ context.Context, in request, children *engine.Children) (int, error) {
			approval.Spawn(children, in)
			return in.Amount, nil
		}, func(_ context.Context, j engine.Joined[request, int]) (string, error) {
			d, err := approval.Result(j.Children).Get()
			if err != nil {
				return "", err // no decision within 72 hours, or a wake with an error
			}
			return fmt.Sprintf("order %s, approved %v by %s", j.Input.Order, d.Approved, d.By), nil
		}))
	defer stop()

	handle, err := order.Enqueue(ctx, client, request{"42", 900}, engine.ID("order-42"))
	must(err)

	// Later, in another process: list the waiting executions, and decide.
	for waiting := 0; waiting == 0; {
		for x, err := range client.List(ctx, engine.Filter{Task: approval.ID(), Status: engine.Running}) {
			must(err)
			waiting++
			fmt.Println(x.ID, "waits")
			must(approval.Wake(ctx, client, x.ID, decision{true, "Ada"}))
		}
		must(ctx.Err())
	}
	fmt.Println(handle.Wait(ctx))
	fmt.Println(approval.Wake(ctx, client, "order-42.0", decision{}))
	// Output:
	// order-42.0 waits
	// order 42, approved true by Ada <nil>
	// wake order-42.0: execution has finished: it is completed
}
