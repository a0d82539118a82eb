package doctor

import (
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// nearFull is the used share of a limit from which on the doctor warns.
const nearFull = 0.8

func (e *examiner) judgeAccount() {
	a := e.account
	if a == nil {
		return
	}
	tiers := map[string]jetstream.Tier{"": a.Tier}
	for name, t := range a.Tiers {
		tiers[name] = t
	}
	for name, t := range tiers {
		for _, l := range []struct {
			what  string
			used  int64
			limit int64
			unit  func(int64) string
			key   string
		}{
			{"file storage", int64(t.Store), t.Limits.MaxStore, bytesOf, "max_file"},
			{"memory storage", int64(t.Memory), t.Limits.MaxMemory, bytesOf, "max_memory"},
			{"streams", int64(t.Streams), int64(t.Limits.MaxStreams), number, "max_streams"},
			{"consumers", int64(t.Consumers), int64(t.Limits.MaxConsumers), number, "max_consumers"},
		} {
			if l.limit <= 0 || float64(l.used) < nearFull*float64(l.limit) {
				continue
			}
			severity := Warning
			if l.used >= l.limit {
				severity = Problem
			}
			e.find(severity, "account.limits", name, fmt.Sprintf("%s: %s of %s used", l.what, l.unit(l.used), l.unit(l.limit)),
				"once it is full, enqueues, outcomes and new queues are refused", fmt.Sprintf("raise `%s` of the account's jetstream limits, or shorten the retention", l.key))
		}
	}
	e.fine("account.limits", "account: %s%s in files, %s, %s%s", bytesOf(int64(a.Store)), limitOf(a.Limits.MaxStore),
		counted(a.Streams, "stream", "streams"), counted(a.Consumers, "consumer", "consumers"), domainOf(a.Domain))
}

func domainOf(name string) string {
	if name == "" {
		return ""
	}
	return ", domain " + name
}

func limitOf(n int64) string {
	if n <= 0 {
		return ""
	}
	return " of " + bytesOf(n)
}

func number(n int64) string { return fmt.Sprint(n) }

func bytesOf(n int64) string {
	f, unit := float64(n), "B"
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if f < 1024 {
			break
		}
		f, unit = f/1024, u
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0") + " " + unit
}
