package jstest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// A Raw speaks the NATS protocol byte by byte over a connection of its own. So a test can
// publish what no client library would: header blocks that can't be parsed, subjects that are
// not UTF-8. It is not safe for concurrent use.
type Raw struct {
	conn net.Conn
	in   *bufio.Reader
	sent int
}

// An Answer is the server's answer to a publish with a reply subject.
type Answer struct {
	// Stored is the sequence of the stored message; 0 if it was not stored.
	Stored uint64
	// Duplicate says that the server has a message with the same Nats-Msg-Id already.
	Duplicate bool
	// Refused says why the message was not stored: an error of JetStream, no responders, or an
	// error of the protocol.
	Refused string
}

// NewRaw logs in over conn and takes it over.
func NewRaw(conn net.Conn) (*Raw, error) {
	r := &Raw{conn: conn, in: bufio.NewReader(conn)}
	if _, err := r.in.ReadString('\n'); err != nil { // INFO
		return nil, err
	}
	_, err := io.WriteString(conn, "CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true,\"protocol\":1}\r\nSUB _RAW.* 1\r\nPING\r\n")
	if err != nil {
		return nil, err
	}
	line, err := r.in.ReadString('\n')
	if err == nil && line != "PONG\r\n" {
		err = fmt.Errorf("log in: %s", line)
	}
	return r, err
}

// Close closes the connection.
func (r *Raw) Close() error { return r.conn.Close() }

// Publish sends one message, byte by byte as given, and returns the server's answer. A nil
// header sends a message without a header block. A PING would not help to tell a refusal from
// an answer that is still on its way from the stream. So Publish waits for the answer or an
// error of the protocol, whichever comes first. Do not publish a message that is neither stored
// nor refused, such as the first message of a batch.
func (r *Raw) Publish(subject string, header, body []byte) (Answer, error) {
	r.sent++
	reply := "_RAW." + strconv.Itoa(r.sent)
	var b bytes.Buffer
	if header == nil {
		fmt.Fprintf(&b, "PUB %s %s %d\r\n", subject, reply, len(body))
	} else {
		fmt.Fprintf(&b, "HPUB %s %s %d %d\r\n", subject, reply, len(header), len(header)+len(body))
	}
	b.Write(header)
	b.Write(body)
	b.WriteString("\r\n")
	if _, err := r.conn.Write(b.Bytes()); err != nil {
		return Answer{}, err
	}
	for {
		line, err := r.in.ReadString('\n')
		if err != nil {
			return Answer{}, err
		}
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0, fields[0] == "PONG", fields[0] == "INFO":
		case fields[0] == "PING":
			if _, err := io.WriteString(r.conn, "PONG\r\n"); err != nil {
				return Answer{}, err
			}
		case fields[0] == "-ERR":
			return Answer{Refused: strings.TrimSpace(line)}, nil
		case fields[0] == "MSG", fields[0] == "HMSG":
			n, err := strconv.Atoi(fields[len(fields)-1])
			if err != nil {
				return Answer{}, fmt.Errorf("read %q: %w", line, err)
			}
			data := make([]byte, n+2)
			if _, err := io.ReadFull(r.in, data); err != nil {
				return Answer{}, err
			}
			if fields[1] != reply {
				continue // the answer to an earlier message, for which an error was returned
			}
			if fields[0] == "HMSG" {
				return Answer{Refused: strings.TrimSpace(string(data))}, nil
			}
			return answerOf(data[:n])
		default:
			return Answer{}, fmt.Errorf("read %q: not understood", line)
		}
	}
}

func answerOf(data []byte) (Answer, error) {
	var ack struct {
		Sequence  uint64 `json:"seq"`
		Duplicate bool   `json:"duplicate"`
		Error     *struct {
			Code        int    `json:"err_code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(data, &ack); err != nil {
		return Answer{}, fmt.Errorf("answer %q: %w", data, err)
	}
	if ack.Error != nil {
		return Answer{Refused: fmt.Sprintf("%d %s", ack.Error.Code, ack.Error.Description)}, nil
	}
	return Answer{Stored: ack.Sequence, Duplicate: ack.Duplicate}, nil
}
