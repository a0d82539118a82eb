package embedded

import (
	"fmt"
	"log/slog"
	"sync"
)

// A logger hands what the server says to Config.Log and keeps the first fatal
// error. The server expects its logger to end the process then; without one it
// goes on half started and says nothing.
type logger struct {
	hook func(slog.Level, string)

	mu  sync.Mutex
	err error
}

func (l *logger) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Fatalf is called with locks of the server held.
func (l *logger) Fatalf(format string, v ...any) {
	l.say(slog.LevelError, format, v)
	err := fmt.Errorf(format, v...)
	for _, arg := range v {
		// The text prints its cause; keep the cause itself, which errors.Is can tell.
		if cause, ok := arg.(error); ok {
			err = cause
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
	}
}

func (l *logger) Errorf(format string, v ...any)  { l.say(slog.LevelError, format, v) }
func (l *logger) Warnf(format string, v ...any)   { l.say(slog.LevelWarn, format, v) }
func (l *logger) Noticef(format string, v ...any) { l.say(slog.LevelInfo, format, v) }
func (l *logger) Debugf(format string, v ...any)  { l.say(slog.LevelDebug, format, v) }
func (l *logger) Tracef(format string, v ...any)  { l.say(slog.LevelDebug, format, v) }

func (l *logger) say(level slog.Level, format string, v []any) {
	l.hook(level, fmt.Sprintf(format, v...))
}
