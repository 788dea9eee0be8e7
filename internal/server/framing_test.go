package server_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tenantry/internal/server"
)

// ambiguous are requests that two HTTP implementations may delimit differently (H-12).
var ambiguous = []struct{ name, request string }{
	{"length_and_coding", loginHead + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
	{"coding_and_length", loginHead + "Transfer-Encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n"},
	{"two_lengths", loginHead + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}"},
	{"two_other_lengths", loginHead + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"},
	{"list_of_lengths", loginHead + "Content-Length: 2, 2\r\n\r\n{}"},
	{"signed_length", loginHead + "Content-Length: +2\r\n\r\n{}"},
	{"folded_header", "GET /healthz HTTP/1.1\r\nHost: id.acme.test\r\nX-Folded: a\r\n b\r\n\r\n"},
	{"folded_coding", loginHead + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"},
	{"lf_after_request_line", "GET /healthz HTTP/1.1\nHost: id.acme.test\r\n\r\n"},
	{"lf_after_header", "GET /healthz HTTP/1.1\r\nHost: id.acme.test\n\r\n"},
	{"lf_ends_header", "GET /healthz HTTP/1.1\r\nHost: id.acme.test\r\n\n"},
	{"lf_after_chunk_size", loginHead + "Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n"},
	{"lf_after_chunk", loginHead + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\n0\r\n\r\n"},
	{"signed_chunk_size", loginHead + "Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n"},
	{"long_chunk", loginHead + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}}\r\n0\r\n\r\n"},
	{"coding_in_http_1.0", strings.Replace(loginHead, "HTTP/1.1", "HTTP/1.0", 1) +
		"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
	{"coding_with_space", loginHead + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"},
	{"another_coding", loginHead + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"},
	{"two_codings", loginHead + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"},
	{"http_2_preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
}

func TestFraming_ambiguousRequestIsRefusedAndConnectionClosed(t *testing.T) {
	t.Parallel()
	s := serving(t)
	const smuggled = "GET /healthz HTTP/1.1\r\nHost: id.acme.test\r\n\r\n"
	for _, test := range ambiguous {
		for _, split := range []bool{false, true} {
			name := test.name
			if split {
				name += "_byte_by_byte"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				conn := dial(s)
				if _, err := io.WriteString(conn, smuggled); err != nil { // the connection is in use already
					t.Fatal(err)
				}
				first, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), nil)
				if err != nil || first.StatusCode != http.StatusOK {
					t.Fatal(first, err)
				}
				_, _ = io.Copy(io.Discard, first.Body)
				_ = first.Body.Close()
				request := []string{test.request + smuggled}
				if split {
					request = strings.Split(request[0], "")
				}
				for _, part := range request {
					if _, err := io.WriteString(conn, part); err != nil {
						break // it is closed already
					}
				}
				_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
				answers, err := io.ReadAll(conn)
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatal("the connection is not closed")
				}
				status, _, _ := strings.Cut(string(answers), "\r\n")
				refused := strings.HasPrefix(status, "HTTP/1.1 400 ") || strings.HasPrefix(status, "HTTP/1.1 501 ") ||
					strings.HasPrefix(status, "HTTP/1.1 505 ")
				if !refused || strings.Count(string(answers), "HTTP/1.1 ") != 1 {
					t.Errorf("%q %v", answers, err)
				}
			})
		}
	}
}

// A connection is used again after each kind of request, also one that was sent before the answer
// to the one before.
func TestFraming_plainRequestsShareConnection(t *testing.T) {
	t.Parallel()
	s := serving(t)
	conn := dial(s)
	const get = "GET /healthz HTTP/1.1\r\nHost: id.acme.test\r\n\r\n"
	requests := get + loginHead + "Content-Length: 2\r\n\r\n{}" + get +
		loginHead + "Transfer-Encoding: chunked\r\n\r\n1;ext=1\r\n{\r\n1\r\n}\r\n0\r\nX-Trailer: 1\r\n\r\n" +
		strings.Replace(get, "\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n", 1) + get
	if _, err := io.WriteString(conn, requests); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(conn)
	for i, want := range []int{200, 422, 200, 422, 200, 200} {
		answer, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(i, err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		if answer.Body.Close() != nil || answer.StatusCode != want {
			t.Error(i, answer.Status)
		}
	}
}

// FuzzFraming compares the ends of requests with those that net/http sees, however the bytes
// arrive.
func FuzzFraming(f *testing.F) {
	for _, test := range ambiguous {
		f.Add(test.request+test.request, uint8(7))
	}
	f.Add("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET / "+
		"HTTP/1.1\r\nHost: a\r\n\r\n", uint8(3))
	f.Fuzz(func(t *testing.T, sent string, step uint8) {
		got, refused := server.FollowFraming(sent)
		if refused != server.RefusesFraming(sent, int(step)+1) {
			t.Errorf("%q: refused=%t only when the bytes arrive one by one", sent, refused)
		}
		var want []int
		source := strings.NewReader(sent)
		for buffered := bufio.NewReader(source); ; {
			request, err := http.ReadRequest(buffered)
			if err != nil {
				break
			}
			if _, err := io.Copy(io.Discard, request.Body); err != nil {
				break
			}
			want = append(want, len(sent)-source.Len()-buffered.Buffered())
		}
		// What is refused here, net/http may accept; where net/http stops, it closes the
		// connection.
		if n := min(len(got), len(want)); !slices.Equal(got[:n], want[:n]) || !refused && len(got) < len(want) {
			t.Errorf("%q: requests end at %d, those of net/http at %d", sent, got, want)
		}
	})
}
