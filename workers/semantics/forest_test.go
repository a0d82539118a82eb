package semantics_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/durable-execution/durable/engine"
)

// A node is an execution whose input says how it has to end.
type node struct {
	Kind  string        `json:",omitzero"` // its task: one of the constants below
	Name  int           // its output
	Nap   time.Duration `json:",omitzero"` // how long an attempt takes
	Ways  []string      `json:",omitzero"` // how the first attempts fail: one of ways
	After time.Duration `json:",omitzero"` // the delay of RetryAfter
	// The policy. Finalizes and steps have the policy of their definition.
	Delay   time.Duration `json:",omitzero"`
	Timeout time.Duration `json:",omitzero"`
	Retry   engine.Retry  `json:",omitzero"`
	WaitAll bool          `json:",omitzero"`
	Below   []node        `json:",omitzero"` // its children or, of a line, its steps
	Finale  *node         `json:",omitzero"` // its finalize
}

const (
	leaf   = "leaf"   // an execution without children
	fan    = "fan"    // a parent without a finalize
	tree   = "tree"   // a parent with a finalize
	joint  = "joint"  // a parent with a finalize that is a tree itself
	line   = "line"   // a sequence: walk, or walk and stride, or walk, stride and walk
	walk   = "walk"   // a step without children
	stride = "stride" // a step that is a tree
)

// The ways in which an attempt fails.
const (
	errs      = "errs"
	panicky   = "panics"
	permanent = "is permanent"
	after     = "asks for a delay"
	overruns  = "overruns"
	ignores   = "ignores its context"
	timesOut  = "says it timed out"
	quits     = "says it was cancelled"
)

var ways = []string{errs, panicky, after, overruns, ignores, timesOut, permanent, quits}

// A sapling is a tree, with the way in which it is enqueued and the cancellations in it.
type sapling struct {
	node
	Named   bool                     `json:",omitzero"` // the caller gives the id
	Cancels map[string]time.Duration `json:",omitzero"` // when to cancel, by the rest of the id after the root's
}

// A forest is the set of trees that run in one store.
type forest struct {
	Fleet [][]string // the queues of each executor
	Slots int        // the slots of each executor: few, so that executions wait for them, or enough
	Trees []sapling
}

const (
	few    = 4
	enough = 10_000
)

// GoString is called by rapid to show a forest.
func (f forest) GoString() string {
	text, _ := json.MarshalIndent(f, "", " ")
	return string(text)
}

// fixed is the policy of finalizes and steps.
var fixed = node{Timeout: 100 * time.Second, Retry: engine.Retry{MaxRetries: 1, BaseDelay: 2 * time.Second}}

func (n node) fixed(kind string) node {
	n.Kind, n.Delay, n.Timeout, n.Retry, n.WaitAll = kind, fixed.Delay, fixed.Timeout, fixed.Retry, false
	return n
}

func (n node) options() []engine.Option {
	policy := engine.FailFast
	if n.WaitAll {
		policy = engine.WaitAll
	}
	return []engine.Option{n.Retry, engine.Timeout(n.Timeout), engine.Delay(n.Delay), policy}
}

// times draws a multiple of unit, from 0 to most units; it draws 0 often. The units in use have no
// small common multiples and are longer than timers are late, so races are rare.
func times(most int, unit time.Duration) *rapid.Generator[time.Duration] {
	return rapid.Map(rapid.IntRange(-most/2, most), func(n int) time.Duration { return time.Duration(max(n, 0)) * unit })
}

// nodes draws a node with at most depth generations below it.
func nodes(depth int) *rapid.Generator[node] {
	kinds := []string{leaf, leaf, leaf}
	if depth > 0 {
		kinds = []string{leaf, fan, tree, line, joint}
	}
	return rapid.Custom(func(t *rapid.T) node {
		n := node{
			Kind:  rapid.SampledFrom(kinds).Draw(t, "kind"),
			Name:  rapid.IntRange(0, 99).Draw(t, "name"),
			Nap:   times(60, 1009*time.Millisecond).Draw(t, "nap"),
			Delay: times(12, 1511*time.Millisecond).Draw(t, "delay"),
		}
		n.Timeout = n.Nap + time.Second + times(30, time.Second).Draw(t, "timeout")
		if rapid.IntRange(0, 2).Draw(t, "fails") == 2 {
			n.Ways = rapid.SliceOfN(rapid.SampledFrom(ways), 1, 4).Draw(t, "ways")
			n.After = times(10, 2003*time.Millisecond).Draw(t, "after")
			n.Retry = engine.Retry{
				MaxRetries: rapid.IntRange(0, 4).Draw(t, "retries"),
				BaseDelay:  times(15, 1361*time.Millisecond).Draw(t, "base"),
				Multiplier: rapid.SampledFrom([]float64{0, 1, 2, 0.5}).Draw(t, "multiplier"),
				MaxDelay:   times(40, 1493*time.Millisecond).Draw(t, "cap"),
				Jitter:     rapid.SampledFrom([]float64{0, 0, 0.5}).Draw(t, "jitter"),
			}
		}
		if n.Kind == leaf {
			return n
		}
		n.WaitAll = rapid.Bool().Draw(t, "wait all")
		below := nodes(depth - 1)
		switch n.Kind {
		case line:
			n = node{Kind: line, Delay: n.Delay}
			for _, kind := range []string{walk, stride, walk}[:rapid.IntRange(1, 3).Draw(t, "steps")] {
				step := nodes(0).Draw(t, "step").fixed(kind)
				if kind == stride {
					step.Below = rapid.SliceOfN(below, 0, 3).Draw(t, "below a step")
					step.Finale = new(nodes(0).Draw(t, "finale").fixed(leaf))
				}
				n.Below = append(n.Below, step)
			}
			return n
		case tree:
			n.Finale = new(nodes(0).Draw(t, "finale").fixed(leaf))
		case joint:
			n.Finale = new(nodes(0).Draw(t, "finale").fixed(tree))
			n.Finale.Below = rapid.SliceOfN(below, 0, 2).Draw(t, "below the finale")
			n.Finale.Finale = new(nodes(0).Draw(t, "last").fixed(leaf))
		}
		n.Below = rapid.SliceOfN(below, 0, 4).Draw(t, "below")
		return n
	})
}

func saplings() *rapid.Generator[sapling] {
	return rapid.Custom(func(t *rapid.T) sapling {
		p := sapling{node: nodes(3).Draw(t, "root"), Named: rapid.Bool().Draw(t, "named")}
		if rapid.IntRange(0, 3).Draw(t, "cancelled") == 3 {
			p.Cancels = map[string]time.Duration{}
			ids := p.ids("")
			for range rapid.IntRange(1, 2).Draw(t, "cancels") {
				p.Cancels[rapid.SampledFrom(ids).Draw(t, "below")] = times(60, 1307*time.Millisecond).Draw(t, "at") + 557*time.Millisecond
			}
		}
		return p
	})
}

// forests draws forests. The trees come from a slice of slices, of about 36 trees in all.
func forests() *rapid.Generator[forest] {
	both := []string{engine.DefaultQueue, "other"}
	return rapid.Custom(func(t *rapid.T) forest {
		f := forest{
			Fleet: append([][]string{both}, rapid.SliceOfN(rapid.SampledFrom([][]string{both, both[:1], both[1:]}), 0, 3).Draw(t, "fleet")...),
			Slots: rapid.SampledFrom([]int{enough, enough, enough, few}).Draw(t, "slots"),
		}
		for _, grove := range rapid.SliceOfN(rapid.SliceOfN(saplings(), 1, 100), 1, 100).Draw(t, "groves") {
			f.Trees = append(f.Trees, grove...)
		}
		for i := range f.Trees {
			if f.Slots == few { // the times of events are unknown
				f.Trees[i].Cancels = nil
			}
		}
		return f
	})
}

// below returns the id of a child; place is its index, or "f" for the finalize. The first place
// follows a dot, the others a dash.
func below(id, place string) string {
	if strings.Contains(id, ".") {
		return id + "-" + place
	}
	return id + "." + place
}

// ids returns the possible ids of n and all executions below it.
func (n node) ids(id string) []string {
	list := []string{id}
	for i, b := range n.Below {
		list = append(list, b.ids(below(id, strconv.Itoa(i)))...)
	}
	if n.Finale != nil {
		list = append(list, n.Finale.ids(below(id, "f"))...)
	}
	return list
}

// A pack is the input and the output of the steps of a sequence.
type pack struct {
	Rest []node
	Said string
}

// The tasks of a forest.
var (
	leaves  = engine.Define[node, string](leaf)
	fans    = engine.Define[node, engine.Gathered[string]](fan, engine.Queue("other"))
	trees   = engine.Define[node, string](tree)
	joints  = engine.Define[node, string](joint)
	rejoin  = engine.Define[engine.Joined[node, string], string]("rejoin", fixed.options()...)
	walks   = engine.Define[pack, pack](walk, fixed.options()...)
	strides = engine.Define[pack, pack](stride, append(fixed.options(), engine.Queue("other"))...)
	lines   = []engine.Task[pack, pack]{engine.Define[pack, pack]("line1"), engine.Define[pack, pack]("line2"), engine.Define[pack, pack]("line3")}
)

// forestBindings binds the tasks. Each attempt calls began.
func forestBindings(began func(engine.Run)) []engine.Binding {
	live := func(ctx context.Context, n node) error { began(engine.FromContext(ctx)); return n.live(ctx) }
	return []engine.Binding{
		engine.Bind(leaves, func(ctx context.Context, n node) (string, error) { return n.name(), live(ctx, n) }),
		engine.BindFanOut(fans, func(ctx context.Context, n node, c *engine.Children) (string, error) {
			n.spawn(c)
			return n.name(), live(ctx, n)
		}),
		engine.BindParent(trees, func(ctx context.Context, n node, c *engine.Children) (string, error) {
			n.spawn(c)
			return n.name(), live(ctx, n)
		}, func(ctx context.Context, j engine.Joined[node, string]) (string, error) {
			last := *j.Input.Finale
			return j.Output + "{" + say(j.Children) + "}" + last.name(), live(ctx, last)
		}, fixed.options()...),
		engine.BindParentTask(joints, func(ctx context.Context, n node, c *engine.Children) (string, error) {
			n.spawn(c)
			return n.name(), live(ctx, n)
		}, rejoin),
		engine.BindParent(rejoin, func(ctx context.Context, j engine.Joined[node, string], c *engine.Children) (string, error) {
			n := *j.Input.Finale
			n.spawn(c)
			return j.Output + "{" + say(j.Children) + "}" + n.name(), live(ctx, n)
		}, func(ctx context.Context, j engine.Joined[engine.Joined[node, string], string]) (string, error) {
			last := *j.Input.Input.Finale.Finale
			return j.Output + "{" + say(j.Children) + "}" + last.name(), live(ctx, last)
		}, fixed.options()...),
		engine.Bind(walks, func(ctx context.Context, p pack) (pack, error) {
			n := p.Rest[0]
			return pack{p.Rest[1:], p.Said + n.name()}, live(ctx, n)
		}),
		engine.BindParent(strides, func(ctx context.Context, p pack, c *engine.Children) (string, error) {
			n := p.Rest[0]
			n.spawn(c)
			return n.name(), live(ctx, n)
		}, func(ctx context.Context, j engine.Joined[pack, string]) (pack, error) {
			p, last := j.Input, *j.Input.Rest[0].Finale
			return pack{p.Rest[1:], p.Said + j.Output + "{" + say(j.Children) + "}" + last.name()}, live(ctx, last)
		}, fixed.options()...),
		engine.BindSequence(lines[0], walks),
		engine.BindSequence(lines[1], engine.Then(walks, strides)),
		engine.BindSequence(lines[2], engine.Then(engine.Then(walks, strides), walks)),
	}
}

func (n node) name() string { return strconv.Itoa(n.Name) }

// live runs an attempt of n.
func (n node) live(ctx context.Context) error {
	way := ""
	if k := engine.FromContext(ctx).Attempt; k < len(n.Ways) {
		way = n.Ways[k]
	}
	nap := n.Nap
	switch way {
	case overruns:
		nap = n.Timeout + time.Minute
	case ignores:
		time.Sleep(n.Timeout + 10*time.Second)
		return nil
	}
	if nap > 0 {
		select {
		case <-time.After(nap):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	switch way {
	case "":
		return nil
	case panicky:
		panic("at the disco")
	case permanent:
		return engine.Permanent(errLuck)
	case after:
		return engine.RetryAfter(errLuck, n.After)
	case timesOut:
		return fmt.Errorf("as far as I am concerned: %w", engine.ErrTimedOut)
	case quits:
		return engine.ErrCancelled
	}
	return errLuck
}

func (n node) spawn(c *engine.Children) {
	for _, b := range n.Below {
		switch b.Kind {
		case leaf:
			leaves.Spawn(c, b, b.options()...)
		case fan:
			fans.Spawn(c, b, b.options()...)
		case tree:
			trees.Spawn(c, b, b.options()...)
		case joint:
			joints.Spawn(c, b, b.options()...)
		case line:
			lines[len(b.Below)-1].Spawn(c, pack{Rest: b.Below}, engine.Delay(b.Delay))
		}
	}
}

func (p sapling) enqueue(ctx context.Context, c *engine.Client, opts ...engine.Option) (string, error) {
	switch p.Kind {
	case fan:
		h, err := fans.Enqueue(ctx, c, p.node, append(p.options(), opts...)...)
		return h.ID(), err
	case line:
		h, err := lines[len(p.Below)-1].Enqueue(ctx, c, pack{Rest: p.Below}, append(opts, engine.Delay(p.Delay))...)
		return h.ID(), err
	}
	h, err := map[string]engine.Task[node, string]{leaf: leaves, tree: trees, joint: joints}[p.Kind].
		Enqueue(ctx, c, p.node, append(p.options(), opts...)...)
	return h.ID(), err
}

// say joins the outputs of children into one line.
func say(list engine.Ended) string {
	var said []string
	for i, e := range list {
		if e.Index != i {
			said = append(said, fmt.Sprintf("child %d at place %d", e.Index, i))
		}
		said = append(said, sayOne(e))
	}
	return strings.Join(said, " ")
}

func sayOne(e engine.EndedChild) (text string) {
	var err error
	switch {
	case e.Status != engine.Completed:
		return "!" + string(e.Status)
	case e.Task == fan:
		var g engine.Gathered[string]
		err = e.Decode(&g)
		text = g.Output + "[" + say(g.Children) + "]"
	case strings.HasPrefix(e.Task, line):
		var p pack
		if err = e.Decode(&p); len(p.Rest) > 0 {
			err = errors.New("steps are left")
		}
		text = p.Said
	default:
		err = e.Decode(&text)
	}
	if err != nil {
		return err.Error()
	}
	return text
}
