package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gdamore/tcell/v2"
	"github.com/jedib0t/go-pretty/v6/text"
)

var errNobody = errors.New("nobody executes in this store now: nothing changes")

// liveEvery is how often a live screen is drawn again for its times to go on.
const liveEvery = time.Second

// live has a terminal to itself and shows on it what draw prints, again whenever
// changed has something, the terminal has another size, or a second has passed; until
// draw says that there is nothing more to come, q is typed, or ctx ends, whose cause it
// then returns. draw prints with an app that has a screen of that size; what is too much
// for it is cut.
func (a *app) live(ctx context.Context, changed <-chan struct{}, draw func(on *app, height int) (done bool, err error)) error {
	if a.terminal == nil {
		return errors.New("no terminal")
	}
	t, err := a.terminal()
	if err == nil {
		err = t.Init()
	}
	if err != nil {
		return &exitError{exitIncomplete, fmt.Errorf("open the terminal: %w", err), "$TERM names the kind of terminal; in a pipe it is printed without one"}
	}
	defer t.Fini()
	events, quit := make(chan tcell.Event), make(chan struct{})
	defer close(quit)
	go t.ChannelEvents(events, quit)
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	for {
		if done, err := a.drawOn(t, draw); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		case <-changed:
			if err := pause(ctx, frame); err != nil { // what comes at once is drawn at once
				return err
			}
		case e := <-events:
			switch e := e.(type) {
			case *tcell.EventResize:
				t.Sync()
			case *tcell.EventKey:
				switch {
				case e.Key() == tcell.KeyCtrlC:
					return &exitError{code: exitInterrupted}
				case e.Key() == tcell.KeyEscape, e.Rune() == 'q':
					return nil
				}
			}
		}
	}
}

func (a *app) drawOn(t tcell.Screen, draw func(on *app, height int) (done bool, err error)) (bool, error) {
	width, height := t.Size()
	var b bytes.Buffer
	on := *a
	on.out = screen{Writer: &b, terminal: true, columns: max(width, 1)}
	done, err := draw(&on, height)
	if err != nil {
		return done, err
	}
	t.Clear()
	for y, line := range slices.Collect(strings.Lines(b.String())) {
		if y < height {
			putLine(t, y, strings.TrimSuffix(line, "\n"))
		}
	}
	t.Show()
	return done, nil
}

// putLine puts a line into the cells of a row, its colours as [screen.paint] has them.
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
