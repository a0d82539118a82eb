package embedded

import (
	"fmt"
	"log/slog"
	"sync"
)

// A logger passes the server's log lines to Config.Log and keeps the first fatal error. The
// server expects its logger to end the process after a fatal error; if the logger does not, the
// server continues half started and silent.
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

// Fatalf is called while the server holds locks.
func (l *logger) Fatalf(format string, v ...any) {
	l.say(slog.LevelError, format, v)
	err := fmt.Errorf(format, v...)
	for _, arg := range v {
		// The text contains its cause; keep the cause itself, which errors.Is can recognize.
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
