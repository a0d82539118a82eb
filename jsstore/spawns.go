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
)

const (
	// inlineSpawns is how many bytes of children to spawn a record may hold. The
	// record of a parent is written each time that children end: a longer list is
	// kept beside it, so that the bytes written for n children don't grow as n².
	inlineSpawns = 8 << 10
	// spawnsPage is how many bytes of the list one key holds, unless a single
	// child is more.
	spawnsPage = 128 << 10
	// strayPages is when a tree is looked at in which pages were written, unless its
	// end sets another time. A tree that goes on is looked at again and again.
	strayPages = 24 * time.Hour
)

// keepSpawns moves a long list of children from x to keys of its own, in pages,
// and leaves in x where they are: a name of this list and the number of pages. If
// the record is not written then, nothing points to the pages, and they go with
// the tree.
func (s *Store) keepSpawns(ctx context.Context, x *engine.Execution) error {
	if x.SpawnsAt != "" {
		x.Spawns = nil
		return nil
	}
	if sizeOf(x.Spawns) <= inlineSpawns {
		return nil
	}
	name := nuid.Next()
	prefix := s.layout.spawnsPrefix(x.ID, name)
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
		pages = append(pages, unconditional(prefix+"."+strconv.Itoa(len(pages)), data))
		rest = rest[n:]
	}
	// An executor that dies before the record is written, or that may not write it,
	// leaves pages that nothing points to; and the tree that they are below may be
	// one that vanishes without a look, if the next attempt spawns nothing.
	if err := s.lookAt(ctx, x.Root(), time.Now().Add(strayPages)); err != nil {
		return fmt.Errorf("keep the children to spawn of %s: %w", x.ID, err)
	}
	if err := errors.Join(s.publishAll(ctx, pages, nil)...); err != nil {
		return fmt.Errorf("keep the children to spawn of %s: %w", x.ID, err)
	}
	x.Spawns, x.SpawnsAt = nil, fmt.Sprintf("%s.%d", name, len(pages))
	return nil
}

// sizeOf estimates the encoded size of a list from above.
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
	prefix := s.layout.spawnsPrefix(x.ID, name)
	var list []engine.Spawn
	for i := range pages {
		m, err := s.last(ctx, s.layout.records(), prefix+"."+strconv.Itoa(i))
		if errors.Is(err, engine.ErrNotFound) {
			if _, gone := s.record(ctx, x.ID); !errors.Is(gone, engine.ErrNotFound) {
				err = fmt.Errorf("%w: it is not there", engine.ErrDamaged)
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
