// This program has no mistake: so the other programs fail only because of their mistakes.
package neg

import (
	"context"
	"time"

	"github.com/durable-execution/durable/engine"
)

type file struct{ Path string }

var (
	title  = engine.Define[file, string]("title", engine.Timeout(time.Second))
	upload = engine.Define[file, int]("upload", engine.Retry{MaxRetries: 1}, engine.WaitAll)
	gather = engine.Define[file, engine.Gathered[string]]("gather")
	finish = engine.Define[engine.Joined[file, string], int]("finish")
)

func run(_ context.Context, f file, c *engine.Children) (string, error) {
	var child engine.Child[string] = title.Spawn(c, f, engine.Delay(time.Second))
	_ = child
	return f.Path, nil
}

func join(_ context.Context, j engine.Joined[file, string]) (int, error) {
	t, err := title.Result(j.Children).Get()
	return len(t), err
}

var bindings = []engine.Binding{
	engine.Bind(title, func(_ context.Context, f file) (string, error) { return f.Path, nil }),
	engine.BindParent(upload, run, join),
	engine.BindParentTask(upload, run, finish),
	engine.BindFanOut(gather, run),
	engine.Bind(finish, join),
}

func use(ctx context.Context, c *engine.Client) (int, error) {
	h, err := upload.Enqueue(ctx, c, file{"a"}, engine.ID("one"))
	if err != nil {
		return 0, err
	}
	return h.Wait(ctx)
}
