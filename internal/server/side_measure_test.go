package server_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// sideTime is how long each turn of a side lasts.
const sideTime = 700 * time.Millisecond

// side is one of several that are measured in turns, each by a number of clients.
type side struct {
	name, address string
	// of is the side that this one is compared with.
	of      string
	clients int
	// next is the request that a client makes after an answer, none at first.
	next   func(client int, answer []byte) []byte
	before func()
}

// get is a request that stays the same.
func get(path, access string) func(int, []byte) []byte {
	request := []byte("GET " + path + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + access + "\r\n\r\n")
	return func(int, []byte) []byte { return request }
}

// post is a request with a body of JSON.
func post(path, body string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "+
		"%d\r\n\r\n%s", path, len(body), body)
}

// measure returns how many requests are answered with 200 in a second, and in how many milliseconds
// 99 of 100.
func measure(b *testing.B, s side) (rate, p99 float64) {
	b.Helper()
	took := make([][]time.Duration, s.clients)
	var clients sync.WaitGroup
	deadline := time.Now().Add(sideTime)
	for client := range s.clients {
		clients.Go(func() { took[client] = ask(b, s, client, deadline) })
	}
	clients.Wait()
	all := slices.Concat(took...)
	if len(all) == 0 {
		b.Fatalf("%s answers nothing", s.name)
	}
	slices.Sort(all)
	return float64(len(all)) / sideTime.Seconds(), float64(all[len(all)*99/100]) / float64(time.Millisecond)
}

// ask is one client. It returns how long each answer took.
func ask(b *testing.B, s side, client int, deadline time.Time) (took []time.Duration) {
	b.Helper()
	conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", strings.TrimPrefix(s.address, "http://"))
	if err != nil {
		b.Error(err)
		return nil
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	var body []byte
	for asked := time.Now(); asked.Before(deadline); {
		if _, err := conn.Write(s.next(client, body)); err != nil {
			b.Error(err)
			return took
		}
		if body, err = readAnswer(in, body); err != nil {
			b.Errorf("%s: %v", s.name, err)
			return took
		}
		now := time.Now()
		took, asked = append(took, now.Sub(asked)), now
	}
	s.next(client, body) // the last answer is not lost
	return took
}

// readAnswer reads an answer of 200 into a buffer, and of its headers no more than how long it is:
// a client that understood them all would cost as much as the server.
func readAnswer(in *bufio.Reader, into []byte) ([]byte, error) {
	status, err := in.ReadSlice('\n')
	if err != nil || !bytes.HasPrefix(status, []byte("HTTP/1.1 200")) {
		return nil, fmt.Errorf("answered %q: %w", status, err)
	}
	length, chunked := 0, false
	for {
		header, err := in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if len(header) <= len("\r\n") {
			break
		}
		if value, found := bytes.CutPrefix(header, []byte("Content-Length: ")); found {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return nil, err
			}
		}
		chunked = chunked || bytes.HasPrefix(header, []byte("Transfer-Encoding: chunked"))
	}
	if chunked {
		body, err := io.ReadAll(httputil.NewChunkedReader(in))
		if err == nil {
			_, err = in.Discard(len("\r\n")) // in place of trailers
		}
		return body, err
	}
	into = slices.Grow(into[:0], length)[:length]
	_, err = io.ReadFull(in, into)
	return into, err
}
