package main

import (
	"encoding/json"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/doctor"
)

// An examinationView is an examination as --json prints it. Times are milliseconds since the
// epoch, durations are milliseconds; unknown values are left out.
type examinationView struct {
	Namespace string           `json:"namespace"`
	Store     string           `json:"store"`
	At        int64            `json:"at"`
	TookMS    int64            `json:"tookMs"`
	Worst     doctor.Severity  `json:"worst"`
	Findings  []doctor.Finding `json:"findings"`
	Survives  []string         `json:"survives"`
	Servers   []serverView     `json:"servers"`
	Streams   []streamView     `json:"streams"`
	Executors []executorView   `json:"executors"`
	Queues    []queueView      `json:"queues"`
	Records   int              `json:"records"`
	Sampled   int              `json:"sampled"`
}

type serverView struct {
	Name         string `json:"name,omitempty"`
	ID           string `json:"id,omitempty"`
	URL          string `json:"url,omitempty"`
	Version      string `json:"version,omitempty"`
	Cluster      string `json:"cluster,omitempty"`
	MaxPayload   int64  `json:"maxPayload,omitempty"`
	ClockAheadMS *int64 `json:"clockAheadMs,omitempty"`
	ClockGiveMS  *int64 `json:"clockGiveMs,omitempty"`
	SyncAlways   *bool  `json:"syncAlways,omitempty"`
	SyncMS       *int64 `json:"syncIntervalMs,omitempty"`
	StoreDir     string `json:"storeDir,omitempty"`
	Error        string `json:"error,omitempty"`
}

type streamView struct {
	Name     string `json:"name"`
	Messages uint64 `json:"messages"`
	Bytes    uint64 `json:"bytes"`
	Storage  string `json:"storage"`
	Replicas int    `json:"replicas"`
	Leader   string `json:"leader,omitempty"`
}

type queueView struct {
	Name      string `json:"queue"`
	Waiting   uint64 `json:"waiting"`
	InHand    uint64 `json:"inHand"`
	OldestMS  int64  `json:"oldestMs"`
	Executors int    `json:"executors"`
	Paused    bool   `json:"isPaused"`
}

// An executorView is the answer of an executor, as on the wire, and the offset of its clock.
type executorView struct {
	ClockAheadMS int64           `json:"clockAheadMs"`
	ClockGiveMS  int64           `json:"clockGiveMs"`
	Answer       json.RawMessage `json:"answer"`
}

func viewOfExamination(x doctor.Examination, store string) examinationView {
	v := examinationView{
		Namespace: x.Namespace, Store: store, At: millis(x.At), TookMS: x.Took.Milliseconds(), Worst: x.Worst(),
		Findings: x.Findings, Survives: x.Survives, Records: x.Records, Sampled: x.Sampled,
		Servers: []serverView{}, Streams: []streamView{}, Executors: []executorView{}, Queues: []queueView{},
	}
	if v.Survives == nil {
		v.Survives = []string{}
	}
	for _, s := range x.Servers {
		one := serverView{Name: s.Name, ID: s.ID, URL: s.URL, Version: s.Version, Cluster: s.Cluster, MaxPayload: s.MaxPayload, Error: s.Failure}
		if s.Give > 0 {
			one.ClockAheadMS, one.ClockGiveMS = inMillis(s.Ahead), inMillis(s.Give)
		}
		if s.Sync != nil {
			one.SyncAlways, one.SyncMS, one.StoreDir = &s.Sync.Always, inMillis(s.Sync.Interval), s.Sync.StoreDir
		}
		v.Servers = append(v.Servers, one)
	}
	for _, s := range x.Streams {
		v.Streams = append(v.Streams, streamView(s))
	}
	for _, q := range x.Queues {
		v.Queues = append(v.Queues, queueView{q.Name, q.Waiting, q.InHand, q.Oldest.Milliseconds(), q.Executors, q.Paused})
	}
	for _, a := range x.Executors {
		ahead, give := a.Offset()
		answer, err := engine.EncodePresence(a.Presence, 1<<30)
		if err != nil {
			continue // can't happen: it was decoded, so it can be encoded
		}
		v.Executors = append(v.Executors, executorView{ahead.Milliseconds(), give.Milliseconds(), answer})
	}
	return v
}

func inMillis(d time.Duration) *int64 {
	ms := d.Milliseconds()
	return &ms
}
