package main

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/durable-execution/durable/codec"
)

func TestDurationsMayHaveDaysAndWeeks(t *testing.T) {
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
		"2026-12-01T09:00":                      "2026-12-01T09:00:00Z", // tests run in UTC
		"2026-12-01 09:00:30":                   "2026-12-01T09:00:30Z",
		"2026-12-01":                            "2026-12-01T00:00:00Z",
		"2026-12-01T09:00:00.25Z":               "2026-12-01T09:00:00.25Z",
		"2026-12-01T09:00+01:00":                "2026-12-01T08:00:00Z",
		"2026-12-01T09:00[Europe/Berlin]":       "2026-12-01T08:00:00Z",
		"2026-07-01T09:00[Europe/Berlin]":       "2026-07-01T07:00:00Z",
		"2026-12-01 09:00 America/New_York":     "2026-12-01T14:00:00Z",
		"2026-12-01T09:00:00 UTC":               "2026-12-01T09:00:00Z",
		"2026-12-01T09:00+01:00[Europe/Berlin]": "2026-12-01T08:00:00Z",
		// In the hour that occurs twice, the offset says which one is meant.
		"2026-10-25T02:30+01:00[Europe/Berlin]": "2026-10-25T01:30:00Z",
		// The last hour before clocks are set forward, and the first one after.
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
		"2026-12-01T09:00[../etc/passwd]":       "unknown time zone",
		"2026-12-01T09:00[Europe/Nowhere]":      "unknown time zone",
		"2026-12-01T09:00+05:00[Europe/Berlin]": "have another offset at that time: 2026-12-01T05:00:00+01:00",
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

// The sum of all parts is exact, or refused as too long: it never wraps around.
func TestDurationsAreExactOrRefused(t *testing.T) {
	lengths := map[string]int64{"w": int64(7 * day), "d": int64(day), "h": int64(time.Hour), "m": int64(time.Minute), "s": int64(time.Second), "ms": int64(time.Millisecond)}
	rapid.Check(t, func(t *rapid.T) {
		text, exact := "", new(big.Int)
		for _, unit := range []string{"w", "d", "h", "m", "s", "ms"} {
			if !rapid.Bool().Draw(t, unit) {
				continue
			}
			n := rapid.OneOf(rapid.Int64Range(0, math.MaxInt64), rapid.Int64Range(0, math.MaxInt64/lengths[unit])).Draw(t, unit)
			text += fmt.Sprint(n, unit)
			exact.Add(exact, new(big.Int).Mul(big.NewInt(n), big.NewInt(lengths[unit])))
		}
		if text == "" {
			t.Skip("no parts")
		}
		got, err := parseDuration(text)
		switch {
		case err == nil && big.NewInt(int64(got)).Cmp(exact) != 0:
			t.Errorf("%q = %s, want %s ns", text, got, exact)
		case exact.IsInt64() && err != nil:
			t.Errorf("%q: %v, want %s ns", text, err, exact)
		case !exact.IsInt64() && !errors.Is(err, errTooLong):
			t.Errorf("%q = %s, %v, want %v", text, got, err, errTooLong)
		}
	})
}

func TestLongDurationsAreRefusedByName(t *testing.T) {
	for _, text := range []string{"213504d", "106752d", "20000w", "15251w", "9999999999h", "99999999999999999999w", "106751d24h", "106751d23h47m16s855ms"} {
		if got, err := parseDuration(text); !errors.Is(err, errTooLong) {
			t.Errorf("%q = %s, %v, want %v", text, got, err, errTooLong)
		}
	}
	if got, err := parseDuration("106751d23h47m16s854ms"); err != nil || got.Milliseconds() != codec.MaxMillis {
		t.Errorf("the longest = %s, %v", got, err)
	}
}

func TestTimesAtTheEndsOfTimeAreShown(t *testing.T) {
	for _, d := range []time.Duration{math.MinInt64, math.MinInt64 + 1, math.MaxInt64} {
		for _, text := range []string{span(d), ago(time.Time{}.Add(d), time.Time{}), ago(time.UnixMilli(math.MaxInt64), time.Now()), ago(time.UnixMilli(math.MinInt64), time.Now())} {
			if text == "" || strings.Contains(text, "--") || strings.Contains(text, "in -") {
				t.Errorf("%d ns: %q", d, text)
			}
		}
	}
}
