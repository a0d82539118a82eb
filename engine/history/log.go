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

// A Log is a file that several processes append to, a line of JSON for each event.
// An event is written by one call before Add returns: a process that is killed
// then has said it.
type Log struct {
	file    *os.File
	process string
}

// Append opens a log for a process, and makes the file if there is none.
func Append(path, process string) (*Log, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return &Log{file: f, process: process}, nil
}

// Add writes an event. Without a time or a process, it is now and that of the log.
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

// Open reads a file that logs were written to.
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

// Read reads what logs have written. The last line may lack its end, as a full
// disk leaves it; any other that is no event is an error that names it.
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
		return errors.New("no event: it has no kind, or no time")
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
