package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"
)

var logLevels = []string{"debug", "info", "warn", "error"}

// startLog makes the log write to stderr or, while a progress bar is shown, above the bar.
func (d *demo) startLog() error {
	level, err := zapcore.ParseLevel(d.logLevel)
	if err != nil {
		return unknown("--log-level", d.logLevel, logLevels)
	}
	// The table of results says which executions have failed, and why.
	d.log = zap.New(logLines{LevelEnabler: level, without: "execution failed", err: d.err, place: func() io.Writer {
		if d.meter != nil && d.err.terminal {
			return d.meter // it prints lines above the bar
		}
		return d.err
	}})
	return nil
}

// slogs returns a zap logger as a slog logger, for an executor.
func slogs(log *zap.Logger) *slog.Logger {
	// Log no stacks: the source of a log line does not help an operator, and failures have
	// stacks of their own.
	return slog.New(zapslog.NewHandler(log.Core(), zapslog.AddStacktraceAt(slog.LevelError+1)))
}

// warnings returns a logger that writes warnings and errors to stderr.
func (a *app) warnings() *zap.Logger {
	return zap.New(logLines{LevelEnabler: zapcore.WarnLevel, err: a.err, place: func() io.Writer { return a.err }})
}

// A logLines is a log for people: time, level, text, then key=value.
type logLines struct {
	zapcore.LevelEnabler
	without string // leave out lines with this message, unless the level is debug
	err     screen
	place   func() io.Writer
	with    []zapcore.Field
}

func (l logLines) With(fields []zapcore.Field) zapcore.Core {
	l.with = slices.Concat(l.with, fields)
	return l
}

func (l logLines) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if e.Message == l.without && !l.Enabled(zapcore.DebugLevel) {
		return c
	}
	if l.Enabled(e.Level) {
		return c.AddCore(e, l)
	}
	return c
}

func (l logLines) Write(e zapcore.Entry, fields []zapcore.Field) error {
	line := fmt.Sprintf("%s %-5s  %s", e.Time.Format("15:04:05.000"), e.Level, e.Message)
	for _, f := range slices.Concat(l.with, fields) {
		values := zapcore.NewMapObjectEncoder()
		f.AddTo(values)
		for key, value := range values.Fields {
			if key == "executor" {
				continue // it is always the executor of this process
			}
			text := fmt.Sprint(value)
			if took, ok := value.(time.Duration); ok {
				text = span(took)
			}
			if at, ok := value.(time.Time); ok {
				text = at.Local().Format("15:04:05.000")
			}
			if text == "" || strings.ContainsAny(text, " =\"\n") {
				text = strconv.Quote(text)
			}
			line += " " + key + "=" + text
		}
	}
	c := faint
	if e.Level >= zapcore.WarnLevel {
		c = yellow
	}
	_, err := fmt.Fprintln(l.place(), l.err.paint(c, printable(line)))
	return err
}

func (logLines) Sync() error { return nil }

// logServer logs a message of the server in this process. It logs routine messages as debug.
func (d *demo) logServer(level slog.Level, text string) {
	to := zapcore.DebugLevel
	switch {
	case level >= slog.LevelError:
		to = zapcore.ErrorLevel
	case strings.HasPrefix(text, "Filestore ["):
		// The server repaired files that a killed process had left behind.
		to = zapcore.InfoLevel
	case level >= slog.LevelWarn:
		to = zapcore.WarnLevel
	}
	d.log.Log(to, "nats-server", zap.String("text", text))
}

// A sizeFlag is a number of bytes; the user may give a unit.
type sizeFlag int64

func (s *sizeFlag) Type() string   { return "size" }
func (s *sizeFlag) String() string { return byteSize(int64(*s)) }

func (s *sizeFlag) Set(text string) error {
	digits := strings.TrimRight(text, "KMGiBkmgb ")
	n, err := strconv.ParseInt(digits, 10, 64)
	factor, ok := sizeUnits[strings.ToLower(strings.TrimSpace(text[len(digits):]))]
	if err != nil || !ok || n < 1 || n > (1<<62)/factor {
		return errors.New("want a number of bytes such as 4096, 512KiB, 16MiB, 1GiB")
	}
	*s = sizeFlag(n * factor)
	return nil
}

var sizeUnits = map[string]int64{
	"": 1, "b": 1,
	"k": 1 << 10, "kb": 1 << 10, "kib": 1 << 10,
	"m": 1 << 20, "mb": 1 << 20, "mib": 1 << 20,
	"g": 1 << 30, "gb": 1 << 30, "gib": 1 << 30,
}
