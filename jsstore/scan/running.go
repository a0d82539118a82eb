package scan

import (
	"context"
	"errors"
	"fmt"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/message"
	"github.com/durable-execution/durable/jsstore/internal/namespace"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

// oldestInHand is how many messages of a stream are searched for running executions: executors
// hold messages near the beginning, which are delivered first.
const oldestInHand = 1000

// Running returns running executions, according to their records, among those that were due
// first. It searches the first thousand messages of the queues and the first thousand due
// timers, however many are waiting. They are in no particular order and leave out sleeping
// ones. It reads by direct gets, which any replica may answer: it is a view.
func (s *Scanner) Running(ctx context.Context) ([]engine.Execution, error) {
	var list []engine.Execution
	for _, p := range []namespace.Place{{Stream: s.layout.Ready(), Subject: s.layout.ReadyOf("*")}, {Stream: s.layout.Timers(), Subject: s.layout.DueOf("*")}} {
		var subjects []string
		query := map[string]any{"seq": uint64(1), "next_by_subj": p.Subject, "batch": oldestInHand, "max_bytes": rpc.DirectBytes}
		for m, err := range s.rpc.DirectGet(ctx, p.Stream, query) {
			if err != nil {
				return nil, fmt.Errorf("find running executions: %w", err)
			}
			if d := message.ParseDue(s.layout, m); message.IsExecution(d) {
				subjects = append(subjects, s.layout.RecordSubject(d.Execution.ID))
			}
		}
		if len(subjects) == 0 {
			continue
		}
		for m, err := range s.rpc.LastOf(ctx, s.layout.Records(), subjects) {
			if err != nil {
				return nil, fmt.Errorf("find running executions: %w", err)
			}
			r, err := s.ns.DecodeRecord(m)
			if err != nil && !errors.Is(err, engine.ErrNewer) {
				continue // deleted or damaged: it is not running
			}
			if r.Status == engine.Running && !r.Sleeping {
				list = append(list, r.Execution)
			}
		}
	}
	return list, nil
}
