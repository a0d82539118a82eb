package main

import (
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
)

// A bar is the live line of a terminal.
type bar struct {
	writer  progress.Writer
	tracker *progress.Tracker
	ended   chan struct{}
	total   int
	lined   time.Time // when the latest line was given to the writer
}

// frame is the time between two pictures.
const frame = 100 * time.Millisecond

func newBar(out screen) *bar {
	b := &bar{writer: progress.NewWriter(), ended: make(chan struct{})}
	b.tracker = &progress.Tracker{
		AutoStopDisabled: true, // it is done when the files are, not the steps
		Units:            progress.Units{Formatter: progress.FormatNumber, Notation: " steps", NotationPosition: progress.UnitsNotationPositionAfter},
		Total:            1,
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

// frames are pictures on a terminal. Each begins with an empty line: the echo of
// Ctrl-C may stand there.
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

func (b *bar) show(s meterState) {
	if s.total != b.total {
		b.total = s.total
		b.tracker.UpdateTotal(int64(s.total))
	}
	message := s.String()
	if s.stopping {
		message += ", stopping"
	}
	b.tracker.UpdateMessage(message)
	b.tracker.SetValue(int64(s.steps))
}

func (b *bar) line(text string) {
	b.lined = time.Now()
	b.writer.Log("%s", text)
}

func (b *bar) close(last meterState) {
	// Lines that wait for the next frame would come below the last one.
	time.Sleep(2*frame - time.Since(b.lined))
	last.stopping = false
	b.show(last)
	if last.ended < last.files {
		b.tracker.MarkAsErrored()
	} else {
		b.tracker.MarkAsDone()
	}
	<-b.ended // with the next frame
}
