package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/scan"
)

// A Page is a part of the list of the executions that a filter selects, in the order
// of [engine.NewestFirst].
type Page struct {
	// Executions are without payloads, children to spawn and history.
	Executions []engine.Record
	// Next is where the next page begins; the zero Cursor if this is the last.
	Next engine.Cursor
	// Total is how many executions the filter selects on all pages, including those before the
	// cursor; -1 if counting them would take long. It may include executions that have vanished
	// since the index caught up.
	Total int
}

// Find returns the page after a cursor, with up to limit executions; zero means all. It answers
// from the file as it is: call [Index.CatchUp] before. For queued executions it asks the
// namespace whether they are still queued. The error is ErrIncomplete until the first build is
// complete, and if the file was damaged, so that Find discarded it: call CatchUp to build it
// again.
func (x *Index) Find(ctx context.Context, f engine.Filter, after engine.Cursor, limit int) (Page, error) {
	p, err := x.find(ctx, f, after, limit)
	if damaged(err) {
		err = noneIs(ErrIncomplete, x.discard(ctx))
	}
	if err != nil {
		return Page{}, fmt.Errorf("search index %s: %w", x.path, err)
	}
	return p, nil
}

func (x *Index) find(ctx context.Context, f engine.Filter, after engine.Cursor, limit int) (Page, error) {
	db, release := x.reader()
	defer release()
	ok, err := x.prepared(ctx, db)
	if err != nil || !ok {
		return Page{}, noneIs(ErrIncomplete, err)
	}
	// One transaction: all reads of a page see the same state.
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return Page{}, err
	}
	defer func() { _ = tx.Rollback() }() // it has changed nothing
	about, err := readAbout(ctx, tx)
	if err != nil || about[complete] == 0 {
		return Page{}, noneIs(ErrIncomplete, err)
	}
	cs, err := readClasses(ctx, tx)
	if err != nil {
		return Page{}, err
	}
	s := &search{tx: tx, store: x.store, limits: x.limits, classes: cs, filter: f, after: after, limit: limit, now: time.Now().UnixMilli()}
	return s.page(ctx)
}

func noneIs(otherwise, err error) error {
	if err == nil {
		return otherwise
	}
	return err
}

// A search is one call of Find.
type search struct {
	tx      *sql.Tx
	store   *jsstore.Store
	limits  limits
	classes *classes
	filter  engine.Filter
	after   engine.Cursor
	limit   int
	now     int64
	looked  int // how many queued executions have been looked up
}

const (
	// mostLooked is how many queued executions are looked up to fill one page, with one request
	// each. In a list of queued executions only, these are the first ones.
	mostLooked = 1000
	// together is how many executions are judged at a time, and atOnce how many of them are
	// looked up concurrently: one by one, waiting for the answers would take most of the time.
	together = 64
	atOnce   = 16
)

func (s *search) page(ctx context.Context) (Page, error) {
	if keys, ok, err := s.narrow(ctx); err != nil || ok {
		if err != nil {
			return Page{}, err
		}
		return s.sorted(ctx, keys)
	}
	p := Page{}
	var err error
	if p.Total, err = s.count(ctx); err != nil {
		return p, err
	}
	var some []row
	more := true
	err = s.walk(ctx, func(r row) (bool, error) {
		var err error
		if some = append(some, r); len(some) == together {
			more, err = s.settle(ctx, &p, some)
			some = nil
		}
		return more, err
	})
	if err == nil && more {
		_, err = s.settle(ctx, &p, some)
	}
	return p, err
}

// sorted returns the page from a few candidates.
func (s *search) sorted(ctx context.Context, keys []int64) (Page, error) {
	rows, err := s.fetch(ctx, keys)
	if err != nil {
		return Page{}, err
	}
	slices.SortFunc(rows, func(a, b row) int { return engine.NewestFirst(a.x, b.x) })
	p := Page{Total: len(rows)}
	rows = slices.DeleteFunc(rows, func(r row) bool { return !s.after.Before(r.x) })
	for some := range slices.Chunk(rows, together) {
		if more, err := s.settle(ctx, &p, some); err != nil || !more {
			return p, err
		}
	}
	return p, nil
}

// settle adds those candidates to a page that must be shown. It returns false if the page is
// full.
func (s *search) settle(ctx context.Context, p *Page, some []row) (more bool, err error) {
	judged, err := s.judge(ctx, some)
	if err != nil {
		return false, err
	}
	for i, is := range judged {
		switch {
		case is == nil && p.Total > 0 && s.filter.Matches(some[i].x):
			p.Total-- // it was counted, but is gone
		case is != nil && !s.add(p, *is):
			return false, nil
		}
	}
	return true, nil
}

// add adds an execution to a page, or notes that there is another page.
func (s *search) add(p *Page, r engine.Record) bool {
	if s.limit > 0 && len(p.Executions) == s.limit {
		p.Next = engine.CursorOf(p.Executions[s.limit-1].Execution)
		return false
	}
	p.Executions = append(p.Executions, r)
	return true
}

// judge returns the executions that must be shown, in their current state, and nil for the
// others.
func (s *search) judge(ctx context.Context, some []row) ([]*engine.Record, error) {
	judged, errs := make([]*engine.Record, len(some)), make([]error, len(some))
	var queued []int
	for i, r := range some {
		switch {
		case r.over(s.now) && !r.unsure() || !s.filter.Matches(r.x):
		case r.part == scan.Records && !r.over(s.now) || s.looked == mostLooked:
			judged[i] = r.shown()
		default:
			s.looked++
			queued = append(queued, i)
		}
	}
	there, err := s.present(ctx, some, queued)
	if err != nil {
		return nil, err
	}
	slots := make(chan struct{}, atOnce)
	var looking sync.WaitGroup
	for _, i := range queued {
		r := some[i]
		switch {
		case there[place{r.part, r.sequence}]:
			judged[i] = r.shown()
		default:
			slots <- struct{}{}
			looking.Go(func() {
				defer func() { <-slots }()
				is, err := lookFor(ctx, s.store, r, s.now)
				if errs[i] = err; is != nil && err == nil && s.filter.Matches(is.x) {
					judged[i] = is.shown()
				}
			})
		}
	}
	looking.Wait()
	return judged, errors.Join(errs...)
}

// A place is the position of a message.
type place struct {
	part     scan.Area
	sequence uint64
}

// present returns which of the messages of queued executions still exist. It reads each area
// from the first of these messages to the last. If they are far apart, it returns none, and
// each is looked up by itself.
func (s *search) present(ctx context.Context, some []row, queued []int) (map[place]bool, error) {
	there := map[place]bool{}
	for _, p := range []scan.Area{scan.Ready, scan.Timers} {
		var sequences []uint64
		for _, i := range queued {
			if some[i].part == p {
				sequences = append(sequences, some[i].sequence)
			}
		}
		if len(sequences) == 0 {
			continue
		}
		first, last := slices.Min(sequences), slices.Max(sequences)
		span := last - first + 1
		if span > uint64(4*len(sequences)) {
			continue
		}
		for m, err := range s.store.Scan().Messages(ctx, p, first, int(span)) {
			if err != nil {
				return nil, err
			}
			if m.Sequence > last {
				break
			}
			there[place{p, m.Sequence}] = true
		}
	}
	return there, nil
}

func (r row) shown() *engine.Record {
	found := &engine.Record{Execution: r.x}
	if r.part == scan.Records {
		found.Revision = engine.Revision(r.sequence)
	}
	return found
}
