package jsstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// makeConsumer creates a consumer, or sets the namespace's lease on the one that exists. It
// keeps the other settings of an existing consumer, such as a limit or a pause: they belong to
// an operator. If the consumer is right as it is, the right to read it suffices.
func (s *Store) makeConsumer(ctx context.Context, src source) error {
	want := s.layout.consumer(src.consumer, src.filter, s.config)
	var did Did
	err := s.manage(ctx, func(ctx context.Context) error {
		c, err := s.js.Consumer(ctx, src.stream, src.consumer)
		did = Found
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			if s.config.MustExist {
				return s.missing(src.queue())
			}
			did = Made
			if c, err = s.js.CreateConsumer(ctx, src.stream, want); errors.Is(err, jetstream.ErrConsumerExists) {
				did = Found // another process was faster
				c, err = s.js.Consumer(ctx, src.stream, src.consumer)
			}
		}
		if err != nil {
			return err
		}
		have := c.CachedInfo().Config
		if src.limited != nil {
			src.limited.Store(have.MaxAckPending > 0)
		}
		switch {
		case have.FilterSubject == want.FilterSubject && (have.AckWait == want.AckWait || s.config.MustExist):
			return nil
		case s.config.MustExist:
			return fmt.Errorf("consumer %s takes %s where %s is needed", src.consumer, have.FilterSubject, want.FilterSubject)
		}
		did = Changed
		have.FilterSubject, have.AckWait = want.FilterSubject, want.AckWait
		_, err = s.js.UpdateConsumer(ctx, src.stream, have)
		return err
	})
	if err == nil {
		s.told(Part{Kind: "consumer", Name: src.stream + " " + src.consumer, Did: did})
	}
	return err
}

// changeConsumer changes a consumer. It creates the consumer if there is none.
func (s *Store) changeConsumer(ctx context.Context, src source, change func(*jetstream.ConsumerConfig)) error {
	if err := s.makeConsumer(ctx, src); err != nil {
		return err
	}
	return s.manage(ctx, func(ctx context.Context) error {
		c, err := s.js.Consumer(ctx, src.stream, src.consumer)
		if err != nil {
			return err
		}
		config := c.CachedInfo().Config
		change(&config)
		_, err = s.js.UpdateConsumer(ctx, src.stream, config)
		return err
	})
}
