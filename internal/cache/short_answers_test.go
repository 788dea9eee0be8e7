package cache_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// A response with fewer values than keys counts as a failure of Redis. The cache still answers.
func TestShared_tooFewValuesCountAsAFailure(t *testing.T) {
	t.Parallel()
	for name, short := range map[string]func(first string) bool{
		"values":   func(string) bool { return true },
		"versions": func(first string) bool { return strings.Contains(first, ":row:") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			received := make(chan struct{}, 1)
			c := join(t, answering(t, func(first string, n int) int {
				if short(first) {
					select {
					case received <- struct{}{}:
					default:
					}
					return 0
				}
				return n
			}))
			for end, done := time.Now().Add(time.Minute), false; !done; {
				if got, loaded := get(t, c.Cache, key(1), "database", uuid.New()); !loaded || got != "database" {
					t.Fatalf("found %q", got)
				}
				c.Evict()
				select {
				case <-received:
					done = true
				case <-time.After(time.Millisecond):
				}
				if time.Now().After(end) {
					t.Fatal("the server received no MGET")
				}
			}
			time.Sleep(100 * time.Millisecond) // a panic of the reader would come after the response
		})
	}
}

// answering returns the URL of a server that implements the commands of the cache. count returns
// how many values it sends for n keys.
func answering(t *testing.T, count func(first string, n int) int) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn, count)
		}
	}()
	return "redis://" + listener.Addr().String()
}

func serve(conn net.Conn, count func(first string, n int) int) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		command, err := readCommand(in)
		if err != nil || len(command) == 0 {
			return
		}
		answer := ":1\r\n"
		switch strings.ToUpper(command[0]) {
		case "HELLO":
			answer = "-ERR unknown command\r\n"
		case "SET":
			answer = "+OK\r\n"
		case "INFO":
			answer = "$22\r\nmaster_replid:abcdef\r\n\r\n"
		case "PTTL":
			answer = ":900\r\n"
		case "GET":
			answer = "$3\r\ne-1\r\n"
		case "MGET":
			n := count(command[1], len(command)-1)
			answer = fmt.Sprintf("*%d\r\n%s", n, strings.Repeat("$-1\r\n", n))
		}
		if _, err := io.WriteString(conn, answer); err != nil {
			return
		}
	}
}

func readCommand(in *bufio.Reader) (words []string, err error) {
	length := func() (int, error) {
		line, err := in.ReadString('\n')
		if err != nil || len(line) < 2 {
			return 0, io.ErrUnexpectedEOF
		}
		return strconv.Atoi(strings.TrimSpace(line[1:]))
	}
	n, err := length()
	for range n {
		size, err := length()
		if err != nil {
			return nil, err
		}
		word := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(in, word); err != nil {
			return nil, err
		}
		words = append(words, string(word[:size]))
	}
	return words, err
}
