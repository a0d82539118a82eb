package main

import (
	"context"
	"io"
	"os"
	"sync"
)

// A stdin is standard input, of which a read that does not return is given up when the
// run is interrupted. It reads nothing until it is asked to: what it has read is lost to
// the next program.
type stdin struct {
	ctx   context.Context // of the run
	r     io.Reader
	begin sync.Once
	pipe  *io.PipeReader
}

func (s *stdin) Read(p []byte) (int, error) {
	s.begin.Do(func() {
		var w *io.PipeWriter
		s.pipe, w = io.Pipe()
		go func() {
			_, err := io.Copy(w, s.r)
			_ = w.CloseWithError(err) // never fails; nil is io.EOF
		}()
		context.AfterFunc(s.ctx, func() { _ = w.CloseWithError(context.Cause(s.ctx)) })
	})
	return s.pipe.Read(p)
}

// size returns how many bytes there are to read; 0 if nobody knows.
func (s *stdin) size() int64 {
	f, ok := s.r.(*os.File)
	if !ok {
		return 0
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0
	}
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0
	}
	return max(info.Size()-at, 0)
}
