// Package rpc sends requests to a NATS server and waits for the answers: publishes, alone or in
// batches, calls of the JetStream API, and reads of messages. It repeats requests that the server
// did not answer, and turns the server's errors into the engine's. It does not know executions.
package rpc

import (
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A Client asks a NATS server over one connection: it publishes to streams and waits for the
// answers, calls the JetStream API and reads messages. It repeats what the server does not
// answer, and returns the engine's errors.
type Client struct {
	Conn *nats.Conn
	JS   jetstream.JetStream
	// Groups are the groups of writes that are sent together, by the prefix of their subjects. It
	// is empty unless Options.Grouped asks for them.
	Groups map[string]*group
	// Heard has the last error of the connection; nil if the caller made the connection.
	Heard *Word

	requests *requests
	apiName  string // the prefix of the subjects of the JetStream API, with the dot
}

// Options say how a client reaches JetStream.
type Options struct {
	// Domain and APIPrefix are as in jsstore.Config.
	Domain, APIPrefix string
	// Grouped says which writes are sent together, as newGroups takes it; nil for none.
	Grouped [][]string
}

// NewClient returns a client that has not asked the server for anything yet.
func NewClient(nc *nats.Conn, o Options) (*Client, error) {
	c := &Client{Conn: nc}
	var err error
	switch {
	case o.Domain != "":
		c.JS, err = jetstream.NewWithDomain(nc, o.Domain)
	case o.APIPrefix != "":
		c.JS, err = jetstream.NewWithAPIPrefix(nc, strings.TrimSuffix(o.APIPrefix, "."))
	default:
		c.JS, err = jetstream.New(nc)
	}
	if err != nil {
		return nil, err
	}
	c.apiName = apiName(c.JS.Options())
	if c.requests, err = newRequests(nc); err != nil {
		return nil, err
	}
	if c.apiName != jetstream.DefaultAPIPrefix {
		c.requests.bucket = c.apiName
	}
	c.Groups = newGroups(c.requests, o.Grouped)
	return c, nil
}

// Send sends m soon, together with others, and waits for no answer: nobody hears whether it
// was sent. Its body and header must not change any more. If the body was encoded in a buffer
// of TakeBuffer, the client puts the buffer back; otherwise buffer is nil.
func (s *Client) Send(m nats.Msg, buffer *[]byte) {
	s.requests.sender.send(outgoing{m: m, buffer: buffer})
}

// Pull asks a consumer for messages, which the server sends to inbox.
func (s *Client) Pull(stream, consumer, inbox string, body []byte) error {
	return s.Conn.PublishRequest(s.apiName+"CONSUMER.MSG.NEXT."+stream+"."+consumer, inbox, body)
}

// Lost ends the calls that are under way: the connection is lost, and with it their answers.
func (s *Client) Lost() { s.requests.disconnected(ErrDisconnected) }

// Shut ends the calls that are under way and all later ones with err. It reports false if
// the client was shut before.
func (s *Client) Shut(err error) bool { return s.requests.shut(err) }

// Done is closed when the client is shut.
func (s *Client) Done() <-chan struct{} { return s.requests.closed }

// Gone returns the error with which the client was shut; nil if it was not.
func (s *Client) Gone() error { return s.requests.gone() }

// Flush returns when the connection has everything that was to be sent.
func (s *Client) Flush() { s.requests.sender.close() }

// Close shuts the client with engine.ErrClosed and ends its subscription. The connection
// stays open.
func (s *Client) Close() { s.requests.close() }

// apiName returns the prefix of the JetStream API's subjects.
func apiName(o jetstream.JetStreamOptions) string {
	switch {
	case o.APIPrefix != "":
		return strings.TrimSuffix(o.APIPrefix, ".") + "."
	case o.Domain != "":
		return "$JS." + o.Domain + ".API."
	}
	return jetstream.DefaultAPIPrefix
}
