package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
)

// linesAtOnce is how many lines to enqueue in one call: enough to keep the connection busy, and
// few enough that the first ids appear soon.
const linesAtOnce = 500

// mostRead is the greatest size of an input in bytes: the store takes no larger one.
const mostRead = jsstore.DefaultPayloadLimit

// A lineReader reads lines, and counts them.
type lineReader struct {
	r    *bufio.Reader
	n    int
	read int64 // bytes of the lines so far
}

func newLineReader(r io.Reader) *lineReader { return &lineReader{r: bufio.NewReader(r)} }

// next returns the next non-blank line and its line number, which counts from 1. After the last
// line it returns io.EOF.
func (l *lineReader) next() ([]byte, int, error) {
	for {
		line, err := l.line()
		if len(line) > 0 {
			l.n++
			l.read += int64(len(line))
		}
		if line = bytes.TrimSpace(line); len(line) > 0 && (err == nil || err == io.EOF) {
			return line, l.n, nil // the next call returns io.EOF
		}
		if err != nil {
			return nil, l.n, err
		}
	}
}

// line reads a line of at most mostRead bytes: binary data may have no line breaks.
func (l *lineReader) line() ([]byte, error) {
	var line []byte
	for {
		part, err := l.r.ReadSlice('\n')
		if line = append(line, part...); len(line) > mostRead {
			return nil, fmt.Errorf("line %d has more than %s", l.n+1, byteSize(mostRead))
		}
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}

// waiting reports whether the buffer is empty, so that reading on may block.
func (l *lineReader) waiting() bool { return l.r.Buffered() == 0 }

// batch returns requests for the next lines with the lines' numbers, and an error for each
// line that is not a valid input. Its own error is io.EOF at the end. If the writer pauses,
// batch returns the lines read so far, so that they are enqueued.
func (e *enqueuing) batch(lines *lineReader, r engine.Request, known schemas) (list []engine.Request, numbers []int, bad []error, err error) {
	for len(list)+len(bad) < linesAtOnce {
		if len(list)+len(bad) > 0 && lines.waiting() {
			return list, numbers, bad, nil
		}
		line, n, err := lines.next()
		if err != nil {
			return list, numbers, bad, err
		}
		p, err := jsonInput(fmt.Sprintf("line %d", n), line)
		if err == nil {
			if refusal := known.check(p); refusal != nil {
				err = &exitError{exitIncomplete, fmt.Errorf("line %d: %w: %w", n, engine.ErrInvalidInput, refusal), ""}
			}
		}
		if err != nil {
			bad = append(bad, err)
			continue
		}
		one := e.dueAt(r)
		one.Input = p
		list, numbers = append(list, one), append(numbers, n)
	}
	return list, numbers, bad, nil
}

// A lining is one run of enqueue --lines.
type lining struct {
	*enqueuing
	lines            *lineReader
	size             int64 // of the input in bytes; 0 if unknown
	bar              *bar  // nil if no progress bar is shown
	enqueued, failed int
}

// interruptedLines is how long an interrupted run waits for the lines that it has sent, so
// that it can say of each whether it was enqueued.
const interruptedLines = 2 * time.Second

// enqueueLines enqueues an execution for each line that is not empty.
func (e *enqueuing) enqueueLines(ctx context.Context, c *engine.Client, r engine.Request, known schemas) error {
	l := &lining{enqueuing: e, lines: newLineReader(e.in)}
	if in, ok := e.in.(*stdin); ok {
		l.size = in.size()
	}
	// Ids on a terminal show progress already, and lines that a person types need no bar.
	if !e.err.terminal || e.out.terminal || e.asked {
		return l.run(ctx, c, r, known)
	}
	units := steps("lines")
	if l.size > 0 {
		units = progress.Units{Formatter: byteSize}
	}
	l.bar = newBar(e.err, units, l.size)
	w := e.err.Writer
	e.err.Writer = barLines{l.bar}
	err := l.run(ctx, c, r, known)
	l.show()
	l.bar.end(err == nil)
	e.err.Writer = w
	return err
}

func (l *lining) show() {
	if l.bar == nil {
		return
	}
	message := grouped(l.enqueued) + " enqueued"
	if l.failed > 0 {
		message += ", " + grouped(l.failed) + " failed"
	}
	if l.size > 0 {
		l.bar.set(message, l.lines.read, l.size)
	} else {
		l.bar.set(message, int64(l.lines.n), 0)
	}
}

func (l *lining) run(ctx context.Context, c *engine.Client, r engine.Request, known schemas) error {
	sending, cancel := lingering(ctx, interruptedLines)
	defer cancel()
	done := 0 // the last line that was enqueued or refused
	for {
		list, numbers, bad, err := l.batch(l.lines, r, known)
		if ctx.Err() != nil {
			return l.interrupted(done)
		}
		l.failed += len(bad)
		for _, b := range bad {
			l.report(ctx, b)
		}
		ids, errs := c.EnqueueMany(sending, list)
		for i, id := range ids {
			if errs[i] != nil {
				l.failed++
				l.report(sending, &exitError{exitIncomplete, fmt.Errorf("line %d: %w", numbers[i], errs[i]), ""})
				continue
			}
			l.enqueued++
			if err := l.printID(id); err != nil {
				return err
			}
		}
		done = l.lines.n
		l.show()
		switch {
		case ctx.Err() != nil:
			return l.interrupted(done)
		case err == io.EOF && l.failed > 0:
			return &exitError{exitIncomplete, fmt.Errorf("%s not enqueued", count(l.failed, "line was", "lines were")), ""}
		case err == io.EOF:
			return nil
		case err != nil:
			return usage("", "read the inputs: %w", err)
		}
	}
}

// interrupted returns the error of an interrupted run: it names the last line handled.
func (l *lining) interrupted(line int) error {
	err := fmt.Errorf("interrupted after line %d: %s", line, count(l.enqueued, "execution was enqueued", "executions were enqueued"))
	if l.failed > 0 {
		err = fmt.Errorf("%w, %s", err, count(l.failed, "line failed", "lines failed"))
	}
	return &exitError{exitInterrupted, err, fmt.Sprintf("tail -n +%d prints the remaining lines", line+1)}
}

// lingering returns a context that ends later than ctx, by the given time.
func lingering(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	later, end := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(by, func() { end(context.Cause(ctx)) })
		context.AfterFunc(later, func() { timer.Stop() })
	})
	return later, func() { stop(); end(context.Canceled) }
}

// A barLines writes lines above a bar, where they stay.
type barLines struct{ *bar }

func (b barLines) Write(p []byte) (int, error) {
	b.line(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}
