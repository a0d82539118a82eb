package main

import (
	"strings"
	"testing"
	"time"
)

func TestDurationsMayHaveDaysAndWeeks(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "1h30m": 90 * time.Minute, "2d": 2 * day, "1.5d": 36 * time.Hour, "1w": 7 * day,
		"1w2d3h4m": 9*day + 3*time.Hour + 4*time.Minute, "0": 0, "0d": 0, "-1s": -time.Second, "250ms": 250 * time.Millisecond,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%q = %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "2", "2x", "-2d", "2d-1h", "1d2w", "1d1d", "1h1d", "2 d", "1e3d", "99999999d", "99999999999999999999w", "Infd", "NaNd", "0x1d"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q = %s, want an error", text, got)
		}
	}
}

func TestTimesAreOfOneZone(t *testing.T) {
	for text, want := range map[string]string{
		"2026-12-01T09:00":                      "2026-12-01T09:00:00Z", // tests are in UTC
		"2026-12-01 09:00:30":                   "2026-12-01T09:00:30Z",
		"2026-12-01":                            "2026-12-01T00:00:00Z",
		"2026-12-01T09:00:00.25Z":               "2026-12-01T09:00:00.25Z",
		"2026-12-01T09:00+01:00":                "2026-12-01T08:00:00Z",
		"2026-12-01T09:00[Europe/Berlin]":       "2026-12-01T08:00:00Z",
		"2026-07-01T09:00[Europe/Berlin]":       "2026-07-01T07:00:00Z",
		"2026-12-01 09:00 America/New_York":     "2026-12-01T14:00:00Z",
		"2026-12-01T09:00:00 UTC":               "2026-12-01T09:00:00Z",
		"2026-12-01T09:00+01:00[Europe/Berlin]": "2026-12-01T08:00:00Z",
		// In the hour that there is twice, the offset tells which.
		"2026-10-25T02:30+01:00[Europe/Berlin]": "2026-10-25T01:30:00Z",
		// The hour before and the one after clocks are set forward.
		"2026-03-29T01:59:59[Europe/Berlin]": "2026-03-29T00:59:59Z",
		"2026-03-29T03:00[Europe/Berlin]":    "2026-03-29T01:00:00Z",
	} {
		got, err := parseTime(text)
		if err != nil || got.UTC().Format(time.RFC3339Nano) != want {
			t.Errorf("%q = %s, %v, want %s", text, got.UTC().Format(time.RFC3339Nano), err, want)
		}
	}
	for text, want := range map[string]string{
		"":                                      "want a time such as",
		"soon":                                  "want a time such as",
		"09:00":                                 "want a time such as",
		"2026-13-01T09:00":                      "want a time such as",
		"2026-12-01T09:00[":                     "want a time such as",
		"2026-12-01T09:00[]":                    "want a time such as",
		"2026-12-01T09:00]":                     "want a time such as",
		"2026-12-01T09:00[Local]":               "want a time such as",
		"2026-12-01T09:00[../etc/passwd]":       "no time zone has the name",
		"2026-12-01T09:00[Europe/Nowhere]":      "no time zone has the name",
		"2026-12-01T09:00+05:00[Europe/Berlin]": "have another offset then: 2026-12-01T05:00:00+01:00",
		"2026-03-29T02:30[Europe/Berlin]":       "do not show 2026-03-29T02:30:00: they are set forward",
		"2026-10-25T02:30[Europe/Berlin]":       "twice: say 2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00",
	} {
		if got, err := parseTime(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q = %s, %v, want %q", text, got, err, want)
		}
	}
}

func TestAnExecutionIsDueAtATime(t *testing.T) {
	dir := working(t)
	at := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
	durable(t, "enqueue", "greet", `{"name":"x"}`, "--id", "a", "--at", at.Format(time.RFC3339), "--dir", dir).want(t, exitOK)
	durable(t, "enqueue", "greet", `{"name":"x"}`, "--id", "b", "--delay", "2d", "--dir", dir).want(t, exitOK)
	for _, id := range []string{"a", "b"} {
		v := jsonLines[view](t, durable(t, "get", id, "--json", "--dir", dir).want(t, exitOK).out)[0]
		if late := time.UnixMilli(v.StartAt).Sub(at); late < -time.Second || late > time.Minute {
			t.Errorf("%s starts %s late", id, late)
		}
	}
	o := durable(t, "get", "a", "--time-format", "utc", "--dir", dir).want(t, exitOK)
	if want := at.Format("2006-01-02T15:04:05"); !strings.Contains(o.out, "starts     "+want) && !strings.Contains(o.out, at.Add(-time.Second).Format("2006-01-02T15:04:05")+".9") {
		t.Errorf("want %s in\n%s", want, o.out)
	}
}
