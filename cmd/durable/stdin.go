package main

import (
	"context"
	"io"
	"os"
	"sync"
)

// A stdin is standard input. Its Read returns when the run is interrupted, even if the
// underlying read does not. It reads nothing before the first call of Read: the next program
// on the same input would miss those bytes.
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

// size returns how many bytes remain to be read; 0 if unknown.
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
