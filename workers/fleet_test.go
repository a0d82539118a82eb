package workers

import (
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
)

func TestAnExecutorThatMissesARollCallIsStillThere(t *testing.T) {
	kind := foreignKind{queue: engine.DefaultQueue, task: "mail"}
	x := Executor{}
	f := &x.fleet
	f.asking = true // the test makes no roll calls
	began := time.Now()
	other := engine.Answer{Presence: engine.Presence{Executor: "other", Queues: map[string]int{engine.DefaultQueue: 1}, Tasks: []engine.BoundTask{{ID: "mail"}}}, CalledAt: began}
	for _, c := range []struct {
		after   time.Duration
		answers []engine.Answer
		want    counts
	}{
		{0, nil, counts{asked: true}}, // the other executor may be starting
		{time.Second, []engine.Answer{other}, counts{present: 1, capable: 1}},
		{3 * time.Second, nil, counts{present: 1, capable: 1}},
		{fleetKept - time.Millisecond, nil, counts{present: 1, capable: 1}},
		{fleetKept, nil, counts{}},
	} {
		f.learn(c.answers, "self", began.Add(c.after))
		if got := x.others(kind); got != c.want {
			t.Errorf("after %s: %+v, want %+v", c.after, got, c.want)
		}
	}
	leaving := other
	leaving.Stopping = true
	f.learn([]engine.Answer{leaving}, "self", began)
	f.learn(nil, "self", began)
	if got := x.others(kind); got != (counts{}) {
		t.Errorf("counts after the executor has left = %+v, want none", got)
	}
}
