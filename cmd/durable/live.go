package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gdamore/tcell/v2"
	"github.com/jedib0t/go-pretty/v6/text"
)

var errNobody = errors.New("no executor is running in this store: nothing changes")

// liveEvery is how often a live view is redrawn, so that the times on it advance.
const liveEvery = time.Second

// A drawing prints the content of a live view, with an app whose screen is as wide as the
// terminal. It returns true once there will be no more changes.
type drawing func(on *app, v *viewport) (done bool, err error)

// live takes over the terminal and shows what draw prints. It redraws after each value from
// changed, each key, each change of the terminal's size, and each second. It ends when draw is
// done, when the user types q, or when ctx ends; then it returns ctx's cause. The user can
// scroll: see [viewerHelp].
func (a *app) live(ctx context.Context, changed <-chan struct{}, draw drawing) error {
	if a.terminal == nil {
		return errors.New("no terminal")
	}
	t, err := a.terminal()
	if err == nil {
		err = t.Init()
	}
	if err != nil {
		return &exitError{exitIncomplete, fmt.Errorf("open the terminal: %w", err), "set $TERM to the kind of your terminal; into a pipe, durable prints without one"}
	}
	defer t.Fini()
	events, quit := make(chan tcell.Event), make(chan struct{})
	defer close(quit)
	go t.ChannelEvents(events, quit)
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	var w viewer
	for {
		if done, err := a.drawOn(t, &w, draw); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		case <-changed:
			if err := pause(ctx, frame); err != nil { // draw changes that come together once
				return err
			}
		case e := <-events:
			switch e := e.(type) {
			case *tcell.EventResize:
				t.Sync()
			case *tcell.EventKey:
				if leaves, err := w.key(e); leaves {
					return err
				}
			}
		}
	}
}

func (a *app) drawOn(t tcell.Screen, w *viewer, draw drawing) (bool, error) {
	width, height := t.Size()
	width = max(width, 1)
	var b bytes.Buffer
	on := *a
	on.out = screen{Writer: &b, terminal: true, columns: width}
	on.out.Writer = wrapping{&b, on.out.width}
	v := w.viewport(height)
	done, err := draw(&on, v)
	if err != nil {
		return done, err
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	t.Clear()
	for y, line := range w.shown(lines, v.head, width, height) {
		putLine(t, y, line)
	}
	t.Show()
	return done, nil
}

// putLine writes a line into the cells of a row, with the colours that [screen.paint] set.
func putLine(t tcell.Screen, y int, line string) {
	style, x := tcell.StyleDefault, 0
	for line != "" {
		before, rest, coloured := strings.Cut(line, "\x1b[")
		t.PutStrStyled(x, y, before, style)
		x += text.StringWidthWithoutEscSequences(before)
		if !coloured {
			return
		}
		var code string
		code, line, _ = strings.Cut(rest, "m")
		style = styled(style, code)
	}
}

func styled(style tcell.Style, code string) tcell.Style {
	n, err := strconv.Atoi(code)
	switch {
	case err != nil || n == 0:
		return tcell.StyleDefault
	case n == 1:
		return style.Bold(true)
	case n == 2:
		return style.Dim(true)
	case n >= 30 && n < 38:
		return style.Foreground(tcell.PaletteColor(n - 30))
	}
	return style
}
