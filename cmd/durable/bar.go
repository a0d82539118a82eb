package main

import (
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
)

// A bar is a progress bar in the last line of a terminal.
type bar struct {
	writer  progress.Writer
	tracker *progress.Tracker
	ended   chan struct{}
	total   int64
	lined   time.Time // when the writer got the latest line
}

// frame is the time between two updates of the screen.
const frame = 100 * time.Millisecond

// steps returns the units of a bar that counts things with that name, rather than bytes.
func steps(name string) progress.Units {
	return progress.Units{Formatter: progress.FormatNumber, Notation: " " + name, NotationPosition: progress.UnitsNotationPositionAfter}
}

// newBar shows a bar. A total of 0 means that the total is not known yet.
func newBar(out screen, units progress.Units, total int64) *bar {
	b := &bar{writer: progress.NewWriter(), ended: make(chan struct{}), total: total}
	b.tracker = &progress.Tracker{
		AutoStopDisabled: true, // the caller of end says when the work is done
		Units:            units,
		Total:            total,
	}
	style := progress.StyleBlocks
	style.Chars.BoxLeft, style.Chars.BoxRight = "▕", "▏"
	style.Chars.Unfinished = " "
	style.Options.Separator = " "
	style.Options.DoneString, style.Options.ErrorString = "done", "stopped"
	style.Options.TimeInProgressPrecision = 100 * time.Millisecond
	style.Options.TimeDonePrecision = 10 * time.Millisecond
	style.Visibility.Percentage, style.Visibility.Pinned = false, false
	style.Visibility.ETA = true
	b.writer.SetStyle(style)
	b.writer.SetOutputWriter(frames{out})
	b.writer.SetTerminalWidth(out.width())
	b.writer.SetTrackerLength(max(10, min(30, out.width()-62)))
	b.writer.SetTrackerPosition(progress.PositionRight)
	b.writer.SetUpdateFrequency(frame)
	b.writer.SetAutoStop(true)
	b.writer.AppendTracker(b.tracker)
	go func() {
		defer close(b.ended)
		b.writer.Render()
	}()
	return b
}

// A frames writes the updates of a bar to a terminal. It clears the line before each update:
// the terminal may have echoed Ctrl-C there.
type frames struct{ screen }

func (f frames) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if _, err := f.screen.Write(slices.Concat([]byte("\r\x1b[K"), p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// set shows a message, and how much of the total is done.
func (b *bar) set(message string, value, total int64) {
	if total != b.total {
		b.total = total
		b.tracker.UpdateTotal(total)
	}
	b.tracker.UpdateMessage(message)
	b.tracker.SetValue(value)
}

func (b *bar) line(text string) {
	b.lined = time.Now()
	b.writer.Log("%s", text)
}

// end shows the last state, and returns once it is on the screen.
func (b *bar) end(done bool) {
	// Wait for pending lines: the writer would print them below the last state.
	time.Sleep(2*frame - time.Since(b.lined))
	if done {
		b.tracker.MarkAsDone()
	} else {
		b.tracker.MarkAsErrored()
	}
	<-b.ended // the writer ends with the next frame
}

// A meterBar is the display of a meter on a terminal.
type meterBar struct{ *bar }

func newMeterBar(out screen) meterBar { return meterBar{newBar(out, steps("steps"), 1)} }

func (b meterBar) show(s meterState) {
	message := s.String()
	if s.stopping {
		message += ", stopping"
	}
	b.set(message, int64(s.steps), int64(s.total))
}

func (b meterBar) close(last meterState) {
	last.stopping = false
	b.show(last)
	b.end(last.ended == last.files)
}
