package main

import (
	"testing"
	"time"
)

func TestTimesAndSizesReadEasily(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ got, want string }{
		{ago(now, now), "just now"},
		{ago(now.Add(-999*time.Millisecond), now), "just now"},
		{ago(now.Add(time.Millisecond), now), "just now"},
		{ago(now.Add(-59*time.Second), now), "59s ago"},
		{ago(now.Add(-61*time.Minute), now), "1h ago"},
		{ago(now.Add(-47*time.Hour), now), "47h ago"},
		{ago(now.Add(-49*time.Hour), now), "2d ago"},
		{ago(now.Add(90*time.Second), now), "in 1m"},
		{span(0), "0ms"},
		{span(-1500 * time.Millisecond), "-1.50s"},
		{span(12*time.Millisecond + 700*time.Microsecond), "12ms"},
		{span(1234 * time.Millisecond), "1.23s"},
		{span(30 * time.Second), "30s"},
		{span(12345 * time.Millisecond), "12.3s"},
		{span(61 * time.Second), "1m01s"},
		{span(3*time.Hour + 4*time.Minute), "3h04m"},
		{byteSize(0), "0 B"},
		{byteSize(1023), "1023 B"},
		{byteSize(1536), "1.5 KiB"},
		{byteSize(16 << 20), "16 MiB"},
		{byteSize(1 << 60), "1048576 TiB"},
		{count(1, "child", "children"), "1 child"},
		{count(1234567, "child", "children"), "1,234,567 children"},
		{grouped(-1234), "-1,234"},
		{grouped(999), "999"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestTextFromElsewhereMovesNoCursor(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{printable("a\x1b[31mb\tc\x00\xff"), "a?[31mb?c??"},
		{oneLine("first\n\nsecond\r\nthird"), "first; second; third"},
		{printable("größer 世界"), "größer 世界"},
		{plain("  a\t b\x1b\xff "), "a b?"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestLongPathsKeepTheirEnd(t *testing.T) {
	for _, c := range []struct {
		width int
		want  string
	}{{0, "engine/世界/apply.go"}, {20, "engine/世界/apply.go"}, {19, "…gine/世界/apply.go"}, {12, "…界/apply.go"}, {11, "…/apply.go"}, {1, "…"}} {
		if got := snipLeft("engine/世界/apply.go", c.width); got != c.want {
			t.Errorf("snipLeft(%d) = %q, want %q", c.width, got, c.want)
		}
	}
}

func TestCommandLinesCanBePasted(t *testing.T) {
	for in, want := range map[string]string{
		"/tmp/x-1.y":     "/tmp/x-1.y",
		"/tmp/my files":  "'/tmp/my files'",
		"it's":           `'it'\''s'`,
		"nats://h:4222":  "nats://h:4222",
		"nats://a,b":     "nats://a,b",
		"/tmp/$HOME/`x`": "'/tmp/$HOME/`x`'",
	} {
		if got := quoted(in); got != want {
			t.Errorf("quoted(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestTheProgramIsNamedAsItWasTyped(t *testing.T) {
	for in, want := range map[string]string{
		"durable":                                 "durable",
		"./durable":                               "./durable",
		"/usr/local/my bin/durable":               "'/usr/local/my bin/durable'",
		"/tmp/go-build123/b001/exe/durable":       "go run ./cmd/durable",
		"/root/.cache/go-build/ab/cdef-d/durable": "go run ./cmd/durable",
	} {
		if got := typed(in); got != want {
			t.Errorf("typed(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPasswordsAreNotTold(t *testing.T) {
	for in, want := range map[string]string{
		"nats://h:4222":                      "nats://h:4222",
		"nats://me:secret@h:1,nats://x:y@h2": "nats://me:xxxxx@h:1,nats://x:xxxxx@h2",
		"nats://token@h":                     "nats://xxxxx@h",
		"/a,b":                               "/a,b",
	} {
		if got := redacted(in); got != want {
			t.Errorf("redacted(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSizesAreGivenInUnits(t *testing.T) {
	for text, want := range map[string]sizeFlag{"1": 1, "4096": 4096, "512KiB": 512 << 10, "16m": 16 << 20, "1 GB": 1 << 30, "7b": 7} {
		var s sizeFlag
		if err := s.Set(text); err != nil || s != want {
			t.Errorf("Set(%q) = %d, %v, want %d", text, s, err, want)
		}
	}
	for _, text := range []string{"", "0", "-1", "x", "1.5MiB", "16 TiB", "MiB", "1ib", "9999999999999GiB", "1KiBKiB"} {
		var s sizeFlag
		if err := s.Set(text); err == nil {
			t.Errorf("Set(%q) = %d, want an error", text, s)
		}
	}
}
