package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// A Log is a file that several processes append to, with a line of JSON for each event. Add
// writes an event by one call before it returns, so a kill after that does not lose the event.
type Log struct {
	file    *os.File
	process string
}

// Append opens a log for a process. It creates the file if there is none.
func Append(path, process string) (*Log, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return &Log{file: f, process: process}, nil
}

// Add writes an event. If the event has no time, Add sets the current time; if it has no process,
// Add sets the log's.
func (l *Log) Add(e Event) error {
	if e.At.IsZero() {
		e.At = time.Now()
	}
	if e.Process == "" {
		e.Process = l.process
	}
	e.At = e.At.UTC()
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if _, err := l.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return nil
}

// Close closes the file.
func (l *Log) Close() error { return l.file.Close() }

// Open reads the file of a log.
func Open(path string) (History, error) {
	f, err := os.Open(path)
	if err != nil {
		return History{}, fmt.Errorf("history: %w", err)
	}
	defer f.Close()
	h, err := Read(f)
	if err != nil {
		return h, fmt.Errorf("history %s: %w", path, err)
	}
	return h, nil
}

// Read reads the events of a log. It ignores an incomplete last line, as a full disk leaves it.
// For any other line that is not an event, it returns an error that names the line.
func Read(r io.Reader) (History, error) {
	var h History
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return h, err
		}
		var e Event
		if err := json.Unmarshal(bytes.TrimSpace(line), &e); err != nil {
			return h, fmt.Errorf("line %d: %w", n, err)
		}
		if err := h.add(e); err != nil {
			return h, fmt.Errorf("line %d: %w", n, err)
		}
	}
	slices.SortStableFunc(h.Events, func(a, b Event) int { return a.At.Compare(b.At) })
	return h, nil
}

func (h *History) add(e Event) error {
	switch {
	case e.Kind == "" || e.At.IsZero():
		return errors.New("not an event: it has no kind or no time")
	case e.Kind == Setting && e.Settings != nil:
		h.Settings = *e.Settings
	case e.Kind == Final && e.Record != nil:
		h.Ended = true
		h.Records = append(h.Records, *e.Record)
	case e.Kind == Leftover:
		h.Left = append(h.Left, e.Text)
	default:
		h.Events = append(h.Events, e)
	}
	return nil
}
