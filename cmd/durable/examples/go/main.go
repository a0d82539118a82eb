//go:build ignore

// Enqueue and wait in Go with nats.go and a MessagePack library, without the packages of durable:
// an example for services that must not import the engine.
//
//	go run main.go      NATS_URL says where the server is
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"github.com/vmihailenco/msgpack/v5"
)

// record has the fields of a record that this program reads. codec/WIRE.md describes all fields.
type record struct {
	Version    int    `msgpack:"v"`
	Status     string `msgpack:"status"`
	FinishedAt int64  `msgpack:"finishedAt"`
	Output     []byte `msgpack:"output"`
	OutputType string `msgpack:"outputType"`
	Error      *struct {
		Message string `msgpack:"message"`
	} `msgpack:"error"`
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	url := os.Getenv("NATS_URL")
	if url == "" {
		url = nats.DefaultURL
	}
	nc, err := nats.Connect(url)
	must(err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	must(err)
	kv, err := js.KeyValue(ctx, "durable-executions")
	must(err)

	// Subscribe before publishing, so that the notice of the end can't be missed.
	id := "go-" + nuid.Next()
	ended, err := nc.SubscribeSync("durable.ended." + id)
	must(err)
	input, err := json.Marshal(map[string]string{"name": "world"})
	must(err)
	_, err = js.Publish(ctx, "durable.ready.default.greet."+id, input)
	must(err)

	for {
		// A notice says that it is time to read the record. A notice may get lost, so read the
		// record from time to time anyway.
		soon, stop := context.WithTimeout(ctx, 5*time.Second)
		_, err := ended.NextMsgWithContext(soon)
		stop()
		if err != nil && ctx.Err() != nil {
			log.Fatal(ctx.Err())
		}
		entry, err := kv.Get(ctx, id)
		if err != nil {
			continue // there is no record yet
		}
		var r record
		must(msgpack.Unmarshal(entry.Value(), &r))
		switch {
		case r.Version != 1:
			log.Fatalf("record of version %d", r.Version)
		case r.FinishedAt == 0:
		case r.Status != "completed":
			log.Fatalf("%s: %s", r.Status, r.Error.Message)
		case r.OutputType != "application/json": // an execution with an input in JSON has an output in JSON
			log.Fatalf("output in %s", r.OutputType)
		default:
			fmt.Println(string(r.Output))
			return
		}
	}
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
