// Package scan reads a namespace stream by stream, for an index of executions and for views that
// follow every change. Replicas may answer, so what it returns may be a little old.
package scan

import (
	"github.com/durable-execution/durable/jsstore/internal/layout"
	"github.com/durable-execution/durable/jsstore/internal/namespace"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

// A Scanner reads a namespace by its streams: their messages in order, and what changes in
// them. It is a view, which replicas may answer.
type Scanner struct {
	ns     *namespace.Namespace
	rpc    *rpc.Client
	layout layout.Layout
}

// New returns a scanner of a namespace.
func New(ns *namespace.Namespace) *Scanner { return &Scanner{ns, ns.RPC, ns.Layout} }
