package namespace

import (
	"strings"

	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

type Place struct{ Stream, Subject string }

// IsOwn reports whether a message of the bucket belongs to the namespace itself and is no
// record.
func (s *Namespace) IsOwn(m *rpc.Stored) bool {
	return strings.HasPrefix(strings.TrimPrefix(m.Subject, s.Layout.RecordPrefix()), "=")
}

func (s *Namespace) QueuedUnder(root string) []Place {
	ids := []string{">"}
	if root != "" {
		ids = []string{root, root + ".*"}
	}
	var list []Place
	for _, id := range ids {
		list = append(list,
			Place{s.Layout.Ready(), s.Layout.ReadyOf(id)},
			Place{s.Layout.Timers(), s.Layout.LaterSubject(id)},
			Place{s.Layout.Timers(), s.Layout.DueOf(id)})
	}
	return list
}

// RecordsUnder returns the subjects of records: the key of a root has one token, the keys below
// it have two. A longer key is no record.
func (s *Namespace) RecordsUnder(root string) []string {
	if root == "" {
		root = "*"
	}
	return []string{s.Layout.RecordSubject(root), s.Layout.RecordSubject(root + ".*")}
}
