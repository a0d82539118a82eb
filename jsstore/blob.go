package jsstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/message"
)

const (
	// DefaultPayloadLimit is the most bytes that an input or an output may have.
	DefaultPayloadLimit = 64 << 20
	// largestPayloadLimit limits an input and an output together to what a process can be
	// expected to hold in memory for each of its slots.
	largestPayloadLimit = 1 << 30

	// blobChunk is how many bytes of a payload one key holds, if a message may be that long.
	// The server copies a message several times, and encodes it in base64 when the leader
	// answers a get.
	blobChunk = 512 << 10
	// blobsAtOnce is how many chunks are sent at a time: 8 MiB, which must arrive before the
	// call's time-out.
	blobsAtOnce = 16
)

// keep moves a payload that is too long for a message to keys of its own below the root of id's
// tree, in chunks. It returns a payload that refers to them, in the layer codec.Blob. The
// chunks are deleted with the tree, like everything below the root. Their keys are derived from
// the content: a repeated call, another attempt or another execution of the tree writes the
// same keys.
//
// Callers write the reference only after keep has returned, so the chunks exist before anything
// refers to them. If the reference is never written, the chunks are deleted when a check of the
// tree finds that the tree does not exist.
func (s *Store) keep(ctx context.Context, id string, p codec.Payload) (codec.Payload, error) {
	if n := len(p.Data); n > s.ns.Inline() && n > s.ns.Limits.Payload {
		return p, fmt.Errorf("%w: payload of %d bytes, the limit is %d", engine.ErrTooLarge, n, s.ns.Limits.Payload)
	}
	return s.keepAny(ctx, id, p)
}

// keepAny is keep for a payload that has been accepted already. It has no size limit.
func (s *Store) keepAny(ctx context.Context, id string, p codec.Payload) (codec.Payload, error) {
	if len(p.Data) <= s.ns.Inline() {
		return p, nil
	}
	return s.keepIn(ctx, id, p, min(blobChunk, max(int(s.rpc.Conn.MaxPayload())-1024, 1)))
}

// keepIn keeps a payload in chunks of a size.
func (s *Store) keepIn(ctx context.Context, id string, p codec.Payload, size int) (codec.Payload, error) {
	n := len(p.Data)
	r := blobRef{sum: sha256.Sum256(p.Data), size: n, chunks: (n + size - 1) / size}
	kept := codec.Payload{Type: p.Type.Wrap(codec.Blob), Data: []byte(r.String())}
	// The mark is written when all chunks are stored. It holds the reference, since another
	// writer may have cut the same bytes into other chunks.
	mark := s.layout.BlobSubject(id, r.sum)
	switch m, err := s.rpc.Last(ctx, s.layout.Records(), mark); {
	case err == nil && string(m.Data) == string(kept.Data):
		return kept, nil
	case err != nil && !errors.Is(err, engine.ErrNotFound):
		return p, err
	}
	// As with the pages of children: the writer may die before anything refers to the chunks,
	// and a root that has nothing else below it vanishes without a check.
	if err := s.lookAt(ctx, engine.RootOf(id), time.Now().Add(strayPages)); err != nil {
		return p, fmt.Errorf("store a payload of %d bytes: %w", n, err)
	}
	for first := 0; first < r.chunks; first += blobsAtOnce {
		var ms []*nats.Msg
		for i := first; i < min(first+blobsAtOnce, r.chunks); i++ {
			ms = append(ms, message.Unconditional(chunkSubject(mark, r.chunks, i), p.Data[i*size:min((i+1)*size, n)]))
		}
		if err := errors.Join(s.rpc.PublishAll(ctx, ms, nil)...); err != nil {
			return p, fmt.Errorf("store a payload of %d bytes: %w", n, err)
		}
	}
	if _, err := s.rpc.Publish(ctx, message.Unconditional(mark, kept.Data), nil); err != nil {
		return p, fmt.Errorf("store a payload of %d bytes: %w", n, err)
	}
	return kept, nil
}

// chunkSubject returns the subject of chunk i of n. The number n is part of it, so that two
// ways to cut the same bytes don't mix.
func chunkSubject(mark string, n, i int) string {
	return mark + "." + strconv.Itoa(n) + "." + strconv.Itoa(i)
}

// A blobRef says where a payload is stored. Its text form is the content of the layer
// codec.Blob.
type blobRef struct {
	sum    [sha256.Size]byte
	size   int
	chunks int
}

func (r blobRef) String() string { return fmt.Sprintf("%x %d %d", r.sum, r.size, r.chunks) }

func parseBlobRef(data []byte) (r blobRef, err error) {
	var sum []byte
	if _, err = fmt.Sscanf(string(data), "%x %d %d", &sum, &r.size, &r.chunks); err == nil {
		copy(r.sum[:], sum)
		if len(sum) != len(r.sum) || r.size < 1 || r.chunks < 1 || r.chunks > r.size || r.String() != string(data) {
			err = errors.New("not in the form in which it is written")
		}
	}
	if err != nil {
		return r, fmt.Errorf("%w: reference to a payload %.100q: %w", engine.ErrDamaged, data, err)
	}
	return r, nil
}

// keepPayloads is keep for all payloads of x that an Update writes.
func (s *Store) keepPayloads(ctx context.Context, x *engine.Execution) error {
	var err error
	// A client that knows only the limit of a message may have enqueued this input. If Update
	// refused it, the execution could never finish.
	if x.Input, err = s.keepAny(ctx, x.ID, x.Input); err != nil {
		return fmt.Errorf("input of %s: %w", x.ID, err)
	}
	if x.Output, err = s.keep(ctx, x.ID, x.Output); err != nil {
		return fmt.Errorf("output of %s: %w", x.ID, err)
	}
	if x.SpawnsAt != "" {
		return nil // their payloads were kept when the pages were written
	}
	var list []engine.Spawn // the caller's slice must not change
	for i, c := range x.Spawns {
		if len(c.Input.Data) <= s.ns.Inline() {
			continue
		}
		if list == nil {
			list = append(list, x.Spawns...)
		}
		if list[i].Input, err = s.keep(ctx, x.ID, c.Input); err != nil {
			return fmt.Errorf("input of child %d of %s: %w", i, x.ID, err)
		}
	}
	if list != nil {
		x.Spawns = list
	}
	return nil
}

// Load implements [engine.Store]. It looks for the payload only below the root of the execution
// that holds the reference, so a client that may only enqueue can't refer to payloads of other
// trees.
func (s *Store) Load(ctx context.Context, id string, p codec.Payload) (codec.Payload, error) {
	inner, layer := p.Type.Unwrap()
	if layer != codec.Blob {
		return p, nil
	}
	if err := engine.ValidateID(id); err != nil {
		return codec.Payload{}, err
	}
	r, err := parseBlobRef(p.Data)
	if err != nil {
		return codec.Payload{}, err
	}
	mark := s.layout.BlobSubject(id, r.sum)
	var data []byte
	for first := 0; first < r.chunks; first += blobsAtOnce {
		var subjects []string
		for i := first; i < min(first+blobsAtOnce, r.chunks); i++ {
			subjects = append(subjects, chunkSubject(mark, r.chunks, i))
		}
		chunks, err := s.chunks(ctx, subjects)
		if err != nil {
			return codec.Payload{}, fmt.Errorf("payload %x: %w", r.sum[:8], err)
		}
		for _, c := range chunks {
			data = append(data, c...)
		}
	}
	if len(data) != r.size || sha256.Sum256(data) != r.sum {
		return codec.Payload{}, fmt.Errorf("%w: payload %s: the sum of its %d bytes differs", engine.ErrDamaged, hex.EncodeToString(r.sum[:8]), len(data))
	}
	return codec.Payload{Type: inner, Data: data}, nil
}

// chunks reads keys that never change. It asks any replica first, and the leader for the keys
// that this replica does not have yet.
func (s *Store) chunks(ctx context.Context, subjects []string) ([][]byte, error) {
	found := map[string][]byte{}
	for m, err := range s.rpc.LastOf(ctx, s.layout.Records(), subjects) {
		if err != nil {
			return nil, err
		}
		found[m.Subject] = m.Data
	}
	list := make([][]byte, len(subjects))
	for i, subject := range subjects {
		if list[i] = found[subject]; list[i] != nil {
			continue
		}
		m, err := s.rpc.Last(ctx, s.layout.Records(), subject)
		if err != nil {
			return nil, err
		}
		list[i] = m.Data
	}
	return list, nil
}
