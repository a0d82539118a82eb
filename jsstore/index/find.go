package index

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
)

// A Page is a part of the list of the executions that a filter selects, in the order
// of [engine.NewestFirst].
type Page struct {
	// Executions are without payloads, children to spawn and history.
	Executions []engine.Record
	// Next is where the next page begins; the zero Cursor if this is the last.
	Next engine.Cursor
	// Total is how many executions the filter selects on all pages, those in front of
	// the cursor included; -1 if to count them would take long. It may count what has
	// come to its end since the index caught up.
	Total int
}

// Find returns the page behind a cursor, of up to limit executions; zero means all.
// It answers from the file as it is: see [Index.CatchUp]. Of those that are queued it
// asks the namespace whether they still are. The error is ErrIncomplete while the
// first build is not through, and where the file turned out to be damaged and was thrown
// away: then it is to be built anew.
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
	ok, err := prepared(ctx, db)
	if err != nil || !ok {
		return Page{}, noneIs(ErrIncomplete, err)
	}
	// All that a page needs is read as it was at one time.
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
	s := &search{tx: tx, store: x.store, classes: cs, filter: f, after: after, limit: limit, now: time.Now().UnixMilli()}
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
	classes *classes
	filter  engine.Filter
	after   engine.Cursor
	limit   int
	now     int64
	looked  int // how many queued ones were looked for
}

// mostLooked is how many queued executions are looked for to fill one page, a request
// each: of a list of all of them, the beginning.
const mostLooked = 1000

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
	err = s.walk(ctx, func(r row) (bool, error) {
		is, err := s.judge(ctx, r)
		if is == nil || err != nil {
			if p.Total > 0 && s.filter.Matches(r.x) {
				p.Total-- // it was counted, and is gone
			}
			return err == nil, err
		}
		return s.add(&p, *is), nil
	})
	return p, err
}

// sorted returns the page out of few candidates.
func (s *search) sorted(ctx context.Context, keys []int64) (Page, error) {
	rows, err := s.fetch(ctx, keys)
	if err != nil {
		return Page{}, err
	}
	slices.SortFunc(rows, func(a, b row) int { return engine.NewestFirst(a.x, b.x) })
	p := Page{Total: len(rows)}
	for _, r := range rows {
		if !s.after.Before(r.x) {
			continue
		}
		is, err := s.judge(ctx, r)
		if err != nil {
			return p, err
		}
		if is == nil {
			p.Total--
			continue
		}
		if !s.add(&p, *is) {
			break
		}
	}
	return p, nil
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

// judge returns the execution as it is to be shown; nil if it is not.
func (s *search) judge(ctx context.Context, r row) (*engine.Record, error) {
	if r.vanishes > 0 && r.vanishes <= s.now || !s.filter.Matches(r.x) {
		return nil, nil
	}
	if r.part != jsstore.Records && s.looked < mostLooked {
		s.looked++
		is, err := lookFor(ctx, s.store, r)
		if err != nil || is == nil || !s.filter.Matches(is.x) {
			return nil, err
		}
		r = *is
	}
	found := &engine.Record{Execution: r.x}
	if r.part == jsstore.Records {
		found.Revision = engine.Revision(r.sequence)
	}
	return found, nil
}
