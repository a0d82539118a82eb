package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
)

// linesAtOnce is how many lines are enqueued at a time: enough to keep the
// connection busy, and few enough that ids are seen soon.
const linesAtOnce = 500

// mostRead is the most that is read of an input: the store takes no more.
const mostRead = jsstore.DefaultPayloadLimit

// A lineReader reads lines, and counts them.
type lineReader struct {
	r *bufio.Reader
	n int
}

func newLineReader(r io.Reader) *lineReader { return &lineReader{r: bufio.NewReader(r)} }

// next returns a line that is not blank, and its number from 1. The error is
// io.EOF when there is none.
func (l *lineReader) next() ([]byte, int, error) {
	for {
		line, err := l.line()
		if len(line) > 0 {
			l.n++
		}
		if line = bytes.TrimSpace(line); len(line) > 0 && (err == nil || err == io.EOF) {
			return line, l.n, nil // the end comes again
		}
		if err != nil {
			return nil, l.n, err
		}
	}
}

// line reads a line of no more than an input may have: what is no text may have no
// lines.
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

// waiting reports whether nothing more can be had without waiting for it.
func (l *lineReader) waiting() bool { return l.r.Buffered() == 0 }

// batch returns the requests of the next lines with their numbers, and why others
// are none. The error is io.EOF at the end. A writer that pauses does not keep
// the lines that it has written from being enqueued.
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
