package main

import (
	"context"
	"runtime/debug"
)

// A row is a system with one durability level.
type row struct {
	System  string
	Level   string // the level of durability, in a word or two
	Settles string // the failures that an acknowledged write survives
	Module  string // the module of the library, to find its version
	service func(ctx context.Context, dir string) (service, error)
	open    func(ctx context.Context, s service) (*peer, error)
	// Without says why a workload has no figure.
	Without map[workload]string
	// Remarks has notes for the reader about the figures of a workload.
	Remarks map[workload]string
}

const (
	syncedSoon   = "a killed server loses nothing, a power failure about the last 20 ms"
	syncedAlways = "nothing is lost"
	pgOn         = "nothing is lost"
	pgOff        = "a killed server or a power failure loses up to about 0.6 s"
	redisNone    = "a killed server loses everything"
	redisSecond  = "a killed server loses nothing, a power failure up to about 2 s"

	noBulk      = "it has no bulk insert"
	byHand      = "chained by hand: the code of a step inserts the next, and again if it is run again after a crash"
	byHandOnce  = "chained by hand: a step inserts the next in the transaction that completes it"
	dbosInPlace = "a workflow runs in the process that begins it"
	polled      = "it offers no wait; its inspector is asked every millisecond"
)

var rows = []row{
	{System: "durable, server in process", Level: "sync 10 ms", Settles: syncedSoon, Module: durableModule, service: inProcess, open: openEmbedded},
	{System: "durable", Level: "sync 10 ms", Settles: syncedSoon, Module: durableModule, service: natsServer("10ms"), open: openDurable},
	{System: "durable", Level: "sync always", Settles: syncedAlways, Module: durableModule, service: natsServer("always"), open: openGrouped},

	riverRow("synchronous_commit on", pgOn, postgres("on")),
	riverRow("synchronous_commit off", pgOff, postgres("off")),
	dbosRow("DBOS, begun in place", "synchronous_commit on", pgOn, postgres("on"), openDBOSInPlace),
	dbosRow("DBOS, begun in place", "synchronous_commit off", pgOff, postgres("off"), openDBOSInPlace),
	dbosRow("DBOS, through a queue", "synchronous_commit on", pgOn, postgres("on"), openDBOSQueue),

	asynqRow("no file", redisNone, redisServer("none")),
	asynqRow("appendfsync everysec", redisSecond, redisServer("everysec")),
	asynqRow("appendfsync always", syncedAlways, redisServer("always")),

	asyncjobsRow("sync 10 ms", syncedSoon, natsServer("10ms")),
	asyncjobsRow("sync always", syncedAlways, natsServer("always")),

	temporalRow("memory", "a killed server loses everything", temporalServer(false)),
	temporalRow("SQLite file", temporalFile, temporalServer(true)),

	goWorkflowsRow("SQLite file", "nothing is lost (write-ahead log, synchronous full)", inProcess, openGoWorkflowsSQLite),
	goWorkflowsRow("Redis, appendfsync everysec", redisSecond, redisServer("everysec"), openGoWorkflowsRedis),
}

type starter = func(ctx context.Context, dir string) (service, error)

const durableModule = "github.com/durable-execution/durable"

func riverRow(level, settles string, s starter) row {
	return row{System: "River", Level: level, Settles: settles, Module: "github.com/riverqueue/river", service: s, open: openRiver,
		Without: map[workload]string{fanOut: "workflows are part of River Pro, which is not free"},
		Remarks: map[workload]string{sequence: byHandOnce, latency: "by a subscription, which is there only in the process of the worker; outcomes are recorded in batches, as few as those every 250 ms"}}
}

func dbosRow(system, level, settles string, s starter, open func(context.Context, service) (*peer, error)) row {
	r := row{System: system, Level: level, Settles: settles, Module: "github.com/dbos-inc/dbos-transact-golang", service: s, open: open,
		Without: map[workload]string{bulk: noBulk}, Remarks: map[workload]string{sequence: "steps are checkpoints of one workflow, in one process"}}
	for _, w := range []workload{single, fanOut, latency} {
		if system == "DBOS, begun in place" {
			r.Remarks[w] = dbosInPlace
		}
	}
	return r
}

func asynqRow(level, settles string, s starter) row {
	return row{System: "asynq", Level: level, Settles: settles, Module: "github.com/hibiken/asynq", service: s, open: openAsynq,
		Without: map[workload]string{bulk: noBulk, fanOut: "a task has no children, and nothing can wait for a group"},
		Remarks: map[workload]string{sequence: byHand, latency: polled}}
}

func asyncjobsRow(level, settles string, s starter) row {
	return row{System: "asyncjobs", Level: level, Settles: settles, Module: "github.com/choria-io/asyncjobs", service: s, open: openAsyncjobs,
		Without: map[workload]string{bulk: noBulk},
		Remarks: map[workload]string{sequence: byHand, latency: "by its events, which are notices and may get lost",
			fanOut: "the caller inserts ten tasks and one that depends on them; that is looked at every 5 s"}}
}

func temporalRow(level, settles string, s starter) row {
	return row{System: "Temporal, development server", Level: level, Settles: settles, Module: "go.temporal.io/sdk", service: s, open: openTemporal,
		Without: map[workload]string{bulk: noBulk},
		Remarks: map[workload]string{single: "standalone activities", latency: "standalone activities",
			fanOut: "activities of one workflow", sequence: "activities of one workflow"}}
}

func goWorkflowsRow(level, settles string, s starter, open func(context.Context, service) (*peer, error)) row {
	const workflows = "a workflow with one activity"
	return row{System: "go-workflows", Level: level, Settles: settles, Module: "github.com/cschleiden/go-workflows", service: s, open: open,
		Without: map[workload]string{bulk: noBulk},
		Remarks: map[workload]string{single: workflows, latency: workflows, fanOut: "activities of one workflow", sequence: "activities of one workflow"}}
}

// name returns a unique name of the row.
func (r row) name() string { return r.System + ", " + r.Level }

// version returns the version of the library in this program. durable's is "this repository",
// because this module replaces it.
func (r row) version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || r.Module == durableModule {
		return "this repository"
	}
	for _, m := range info.Deps {
		if m.Path == r.Module {
			return m.Version
		}
	}
	return "unknown"
}
