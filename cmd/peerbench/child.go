package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// measureCommand makes this program the client of one row and workload. The client is a separate
// process, so that its CPU time and memory belong to this client alone, and so that a client that
// hangs or panics harms no other.
const measureCommand = "measure"

// An order says what such a process measures. The process reads it as JSON.
type order struct {
	Row      string
	Workload workload
	Service  service
	Plan     plan
}

// measureChild carries out the order that it reads, and writes the figure.
func measureChild(ctx context.Context, in io.Reader, out, progress io.Writer) error {
	var o order
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		return err
	}
	for _, r := range rows {
		if r.name() == o.Row {
			f, err := r.measure(ctx, o, progress)
			if err != nil {
				f = figure{Missing: "failed: " + err.Error()}
			}
			return json.NewEncoder(out).Encode(f)
		}
	}
	return fmt.Errorf("no row is called %q", o.Row)
}

// measure opens the peer in this process and measures one workload.
func (r row) measure(ctx context.Context, o order, progress io.Writer) (figure, error) {
	p, err := r.open(ctx, o.Service)
	if err != nil {
		return figure{}, fmt.Errorf("open: %w", err)
	}
	defer func() {
		if err := p.close(); err != nil {
			fmt.Fprintf(progress, "  close: %s\n", err)
		}
	}()
	m := meter{plan: o.Plan, services: o.Service.Pids, progress: progress}
	if o.Workload == latency {
		return m.latency(ctx, p.latency)
	}
	do := p.throughput(o.Workload)
	if do == nil {
		return figure{}, errors.New("the row has no code for this workload, and does not say why")
	}
	return m.throughput(ctx, o.Workload, do)
}

// run starts the row's service and a client process that measures one workload, and ends both. If
// there is no measurement, the figure says why. version is the version of the service.
func (r row) run(ctx context.Context, base string, w workload, p plan, progress io.Writer) (f figure, version string) {
	if why, ok := r.Without[w]; ok {
		return figure{Missing: why}, ""
	}
	dir, err := os.MkdirTemp(base, "service")
	if err != nil {
		return figure{Missing: err.Error()}, ""
	}
	defer os.RemoveAll(dir)
	s, err := r.service(ctx, dir)
	if err != nil {
		return figure{Missing: couldNot + err.Error()}, ""
	}
	f, err = measureApart(ctx, order{Row: r.name(), Workload: w, Service: s, Plan: p}, progress)
	if stopErr := s.stop(); stopErr != nil {
		fmt.Fprintf(progress, "  %s\n", stopErr)
	}
	if err != nil {
		return figure{Missing: "failed: " + err.Error()}, s.Version
	}
	return f, s.Version
}

const couldNot = "could not be run here: "

func measureApart(ctx context.Context, o order, progress io.Writer) (f figure, err error) {
	self, err := os.Executable()
	if err != nil {
		return f, err
	}
	in, err := json.Marshal(o)
	if err != nil {
		return f, err
	}
	log, err := os.Create(filepath.Join(o.Service.Dir, "client.log"))
	if err != nil {
		return f, err
	}
	defer log.Close()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, self, measureCommand)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, io.MultiWriter(progress, log)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return f, context.Cause(ctx)
		}
		return f, fmt.Errorf("its process ended: %w: %s", err, tail(log.Name()))
	}
	return f, json.Unmarshal(out.Bytes(), &f)
}
