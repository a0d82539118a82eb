package jsstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/jsstore/internal/layout"
)

// makeConsumer creates a consumer, or sets the namespace's lease on the one that exists. It
// keeps the other settings of an existing consumer, such as a limit or a pause: they belong to
// an operator. If the consumer is right as it is, the right to read it suffices.
func (s *Store) makeConsumer(ctx context.Context, src layout.Source) error {
	want := s.layout.Consumer(src.Consumer, src.Filter, s.ns.Limits.Lease)
	var did Did
	err := s.rpc.Manage(ctx, func(ctx context.Context) error {
		c, err := s.rpc.JS.Consumer(ctx, src.Stream, src.Consumer)
		did = Found
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			if s.config.MustExist {
				return s.missing(src.Queue())
			}
			did = Made
			if c, err = s.rpc.JS.CreateConsumer(ctx, src.Stream, want); errors.Is(err, jetstream.ErrConsumerExists) {
				did = Found // another process was faster
				c, err = s.rpc.JS.Consumer(ctx, src.Stream, src.Consumer)
			}
		}
		if err != nil {
			return err
		}
		have := c.CachedInfo().Config
		if src.Limited != nil {
			src.Limited.Store(have.MaxAckPending > 0)
		}
		switch {
		case have.FilterSubject == want.FilterSubject && (have.AckWait == want.AckWait || s.config.MustExist):
			return nil
		case s.config.MustExist:
			return fmt.Errorf("consumer %s takes %s where %s is needed", src.Consumer, have.FilterSubject, want.FilterSubject)
		}
		did = Changed
		have.FilterSubject, have.AckWait = want.FilterSubject, want.AckWait
		_, err = s.rpc.JS.UpdateConsumer(ctx, src.Stream, have)
		return err
	})
	if err == nil {
		s.told(Part{Kind: "consumer", Name: src.Stream + " " + src.Consumer, Did: did})
	}
	return err
}

// changeConsumer changes a consumer. It creates the consumer if there is none.
func (s *Store) changeConsumer(ctx context.Context, src layout.Source, change func(*jetstream.ConsumerConfig)) error {
	if err := s.makeConsumer(ctx, src); err != nil {
		return err
	}
	return s.rpc.Manage(ctx, func(ctx context.Context) error {
		c, err := s.rpc.JS.Consumer(ctx, src.Stream, src.Consumer)
		if err != nil {
			return err
		}
		config := c.CachedInfo().Config
		change(&config)
		_, err = s.rpc.JS.UpdateConsumer(ctx, src.Stream, config)
		return err
	})
}
