package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/durable-execution/durable/engine"
)

// A display shows the progress of the demo. It is not safe for concurrent use.
type display interface {
	// show shows a state, at once or with the next update.
	show(meterState)
	// line prints a line that stays.
	line(text string)
	// close shows the last state and releases the screen.
	close(last meterState)
}

// A meterState is the progress of the demo.
type meterState struct {
	files, ended, failed int
	steps, total         int // tasks that returned, of the expected total
	took                 time.Duration
	stopping             bool
}

func (s meterState) String() string {
	text := fmt.Sprintf("%s of %s", grouped(s.ended), count(s.files, "file", "files"))
	if s.failed > 0 {
		text += fmt.Sprintf(", %s failed", grouped(s.failed))
	}
	return text
}

// A meter counts finished work and shows it on a display. It is safe for concurrent use.
type meter struct {
	began time.Time

	mu      sync.Mutex
	state   meterState
	done    map[string]map[string]bool // by root: the tasks that returned in this run
	before  map[string]int             // by root: how many tasks returned in an earlier run
	display display                    // nil once closed
	after   func(line string)          // prints lines once display is closed
}

func newMeter(out screen) *meter {
	m := &meter{
		began: time.Now(), done: map[string]map[string]bool{}, before: map[string]int{},
		after: func(line string) { fmt.Fprintln(out, line) },
	}
	if out.terminal {
		m.display = newMeterBar(out)
	} else {
		m.display = &plainLines{out: out, last: m.began}
	}
	return m
}

// expect adds a tree to the expected work.
func (m *meter) expect(x engine.Execution, id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	switch x.Status {
	case engine.WaitingForChildren:
		n = 1 + x.Ended.Len()
	case engine.WaitingForFinalize:
		n = uploadSteps - 1
	}
	m.before[id] = n
	m.done[id] = map[string]bool{}
	m.state.files++
	m.state.total += uploadSteps
	m.state.steps += n
}

// step counts a task that returned. It counts a task once, even if the task ran twice because
// its lease was lost.
func (m *meter) step(r engine.Run) {
	m.mu.Lock()
	defer m.mu.Unlock()
	tasks := m.done[r.RootID]
	if tasks == nil || tasks[r.TaskID] || len(tasks)+m.before[r.RootID] >= uploadSteps {
		return
	}
	tasks[r.TaskID] = true
	m.state.steps++
	m.update()
}

// end counts a finished tree. It also counts the steps that the tree did not reach.
func (m *meter) end(id string, completed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.steps += uploadSteps - m.before[id] - len(m.done[id])
	delete(m.done, id)
	m.state.ended++
	if !completed {
		m.state.failed++
	}
	m.update()
}

func (m *meter) update() {
	if m.display != nil {
		m.state.took = time.Since(m.began)
		m.display.show(m.state)
	}
}

// line prints a line that stays on the screen.
func (m *meter) line(text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.display == nil {
		m.after(text)
		return
	}
	m.display.line(text)
}

// Write prints log lines: a log can write to a meter.
func (m *meter) Write(p []byte) (int, error) {
	m.line(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}

// stop shows that the run was interrupted.
func (m *meter) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.stopping = true
	m.update()
}

// close shows the last state, and returns when it is on the screen.
func (m *meter) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.display != nil {
		m.state.took = time.Since(m.began)
		m.display.close(m.state)
		m.display = nil
	}
}

// A plainLines is a display that prints at most one line per second.
type plainLines struct {
	out  screen
	last time.Time
}

func (p *plainLines) show(s meterState) {
	if time.Since(p.last) >= time.Second {
		p.last = time.Now()
		p.line(fmt.Sprintf("%s, %s of %s steps, %s", s, grouped(s.steps), grouped(s.total), span(s.took)))
	}
}

func (p *plainLines) line(text string) { fmt.Fprintln(p.out, text) }

func (p *plainLines) close(meterState) {}
