// Command mark is the least that a telemetry intake must do, to compare serin
// with: it reads a request, decompresses it, parses each line as JSON, appends
// all of it to a file that is synced once for all who wait, and answers then.
//
//	mark FILE
//
// It listens on a free port of the loopback interface and prints its address.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/klauspost/compress/gzip"
)

func main() {
	f, err := os.Create(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(l.Addr())
	m := &mark{queue: make(chan *entry, maxWaiting)}
	go m.write(f)
	log.Fatal(http.Serve(l, m))
}

// maxWaiting is how many requests wait for one sync.
const maxWaiting = 4096

// mark is the handler.
type mark struct{ queue chan *entry }

// entry is one request's data, waiting.
type entry struct {
	data []byte
	done chan error
}

// write appends what waits and syncs once.
func (m *mark) write(f *os.File) {
	for first := range m.queue {
		group := []*entry{first}
		for len(m.queue) > 0 {
			group = append(group, <-m.queue)
		}
		var all []byte
		for _, e := range group {
			all = append(all, e.data...)
		}
		_, err := f.Write(all)
		if err == nil {
			err = f.Sync()
		}
		for _, e := range group {
			e.done <- err
		}
	}
}

// ServeHTTP answers when the request is durable.
func (m *mark) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, err := read(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for line := range bytes.Lines(data) {
		var v any
		if err := json.Unmarshal(line, &v); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	e := &entry{data, make(chan error, 1)}
	m.queue <- e
	if err := <-e.done; err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "{}")
}

func read(r *http.Request) ([]byte, error) {
	if r.Header.Get("Content-Encoding") != "gzip" {
		return io.ReadAll(r.Body)
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
