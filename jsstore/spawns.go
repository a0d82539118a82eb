package jsstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/message"
)

const (
	// inlineSpawns is how many bytes of children to spawn a record may hold. A parent's record
	// is written each time that children finish. A longer list is kept under keys of its own,
	// so that the bytes written for n children don't grow as n².
	inlineSpawns = 8 << 10
	// spawnsPage is how many bytes of the list one key holds, unless a single child is longer.
	spawnsPage = 128 << 10
	// strayPages is the delay until the check of a tree in which pages were written, unless its
	// end sets another time. A tree that is still active is checked repeatedly.
	strayPages = 24 * time.Hour
)

// keepSpawns moves a long list of children from x to pages under keys of their own, and stores
// their location in x: a name for this list and the number of pages. If the record is then
// never written, nothing refers to the pages, and they are deleted with the tree.
func (s *Store) keepSpawns(ctx context.Context, x *engine.Execution) error {
	if x.SpawnsAt != "" {
		x.Spawns = nil
		return nil
	}
	if sizeOf(x.Spawns) <= inlineSpawns {
		return nil
	}
	name := nuid.Next()
	prefix := s.layout.SpawnsPrefix(x.ID, name)
	var pages []*nats.Msg
	for rest := x.Spawns; len(rest) > 0; {
		n := 1
		for size := sizeOf(rest[:1]); n < len(rest); n++ {
			if size += sizeOf(rest[n : n+1]); size > spawnsPage {
				break
			}
		}
		data, err := engine.EncodeSpawns(rest[:n])
		if err != nil {
			return err
		}
		pages = append(pages, message.Unconditional(prefix+"."+strconv.Itoa(len(pages)), data))
		rest = rest[n:]
	}
	// An executor that dies before it writes the record, or fails to write it, leaves pages to
	// which nothing refers. Their tree may be one that vanishes without a check, if the next
	// attempt spawns nothing.
	if err := s.lookAt(ctx, x.Root(), time.Now().Add(strayPages)); err != nil {
		return fmt.Errorf("keep the children to spawn of %s: %w", x.ID, err)
	}
	if err := errors.Join(s.rpc.PublishAll(ctx, pages, nil)...); err != nil {
		return fmt.Errorf("keep the children to spawn of %s: %w", x.ID, err)
	}
	x.Spawns, x.SpawnsAt = nil, fmt.Sprintf("%s.%d", name, len(pages))
	return nil
}

// sizeOf returns an upper estimate of the encoded size of a list.
func sizeOf(list []engine.Spawn) int {
	n := 0
	for i := range list {
		n += list[i].Size()
	}
	return n
}

// Spawns implements [engine.Store].
func (s *Store) Spawns(ctx context.Context, x engine.Execution) ([]engine.Spawn, error) {
	if x.SpawnsAt == "" || len(x.Spawns) > 0 {
		return x.Spawns, nil
	}
	name, number, _ := strings.Cut(x.SpawnsAt, ".")
	pages, err := strconv.Atoi(number)
	if err != nil {
		return nil, fmt.Errorf("children to spawn of %s at %q: %w: %w", x.ID, x.SpawnsAt, engine.ErrDamaged, err)
	}
	prefix := s.layout.SpawnsPrefix(x.ID, name)
	var list []engine.Spawn
	for i := range pages {
		m, err := s.rpc.Last(ctx, s.layout.Records(), prefix+"."+strconv.Itoa(i))
		if errors.Is(err, engine.ErrNotFound) {
			if _, gone := s.ns.Record(ctx, x.ID); !errors.Is(gone, engine.ErrNotFound) {
				err = fmt.Errorf("%w: the page is missing", engine.ErrDamaged)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("children to spawn of %s, page %d of %d: %w", x.ID, i, pages, err)
		}
		page, err := engine.DecodeSpawns(m.Data)
		if err != nil {
			return nil, fmt.Errorf("children to spawn of %s, page %d of %d: %w", x.ID, i, pages, err)
		}
		list = append(list, page...)
	}
	if x.Sequence == 0 && len(list) != x.Spawned {
		return nil, fmt.Errorf("children to spawn of %s: %w: %d on %d pages, the record says %d", x.ID, engine.ErrDamaged, len(list), pages, x.Spawned)
	}
	return list, nil
}
