package server

import (
	"bytes"
	"errors"
	"strconv"
)

// maxLine bounds the buffer of an incomplete line, in bytes. net/http refuses longer header
// sections.
const maxLine = 16 << 10

// errFraming ends a connection whose requests a proxy in front of the server could delimit
// differently. net/http answers an error that is not a network error with 400 and closes the
// connection.
var errFraming = errors.New("the framing of the request is ambiguous")

// framing parses the requests of a connection and refuses those that net/http would repair: with
// both Content-Length and Transfer-Encoding, with two Content-Length, with folded header lines, or
// with lines that end without CR (RFC 9112 §2.2, §5.2, §6.1). The zero value is at the beginning of
// a request.
type framing struct {
	part part
	// left is the number of bytes that remain of a body or a chunk.
	left int64
	// line is the beginning of an incomplete line.
	line []byte
	// http10, sized and chunked report the version, a Content-Length and a Transfer-Encoding of the
	// header section so far.
	http10, sized, chunked bool
	length                 int64
	err                    error
}

// part is the part of a request to which the next line belongs.
type part int

const (
	requestLine part = iota
	headerLine
	chunkSize
	chunkEnd
	trailerLine
)

// follow parses bytes that follow those of the previous calls, and returns how many of them may be
// passed on. It returns errFraming once a request must be refused, and on every later call. The line
// of the error is passed on without its end: net/http answers 400 only to a request that has begun.
func (f *framing) follow(p []byte) (passed int, err error) {
	all := len(p)
	for len(p) > 0 && f.err == nil {
		if f.left > 0 {
			n := min(f.left, int64(len(p)))
			f.left, p = f.left-n, p[n:]
			continue
		}
		end := bytes.IndexByte(p, '\n') + 1
		passed = all - len(p) + max(0, end-1)
		if end == 0 || len(f.line) > 0 {
			part := p
			if end > 0 {
				part = p[:end]
			}
			if len(f.line)+len(part) > maxLine {
				f.err = errFraming
				break
			}
			f.line = append(f.line, part...)
			if end == 0 {
				break
			}
			f.err = f.next(f.line)
			f.line = f.line[:0]
		} else {
			f.err = f.next(p[:end])
		}
		p = p[end:]
	}
	if f.err == nil {
		return all, nil
	}
	return passed, f.err
}

// next parses one line with its end.
func (f *framing) next(line []byte) error {
	line, crlf := bytes.CutSuffix(line, []byte("\r\n"))
	if !crlf {
		return errFraming
	}
	switch f.part {
	case requestLine:
		if len(line) > 0 { // an empty line may follow a body (RFC 9112 §2.2)
			http10, http11 := bytes.HasSuffix(line, []byte(" HTTP/1.0")), bytes.HasSuffix(line, []byte(" HTTP/1.1"))
			if !http10 && !http11 { // such as the preface of HTTP/2
				return errFraming
			}
			*f = framing{part: headerLine, line: f.line, http10: http10}
		}
	case headerLine:
		if len(line) == 0 {
			f.body()
			return nil
		}
		return f.header(line)
	case chunkSize:
		digits, _, _ := bytes.Cut(line, []byte(";"))
		size, err := strconv.ParseUint(string(bytes.Trim(digits, " \t")), 16, 62)
		if err != nil {
			return errFraming
		}
		f.left, f.part = int64(size), chunkEnd
		if size == 0 {
			f.part = trailerLine
		}
	case chunkEnd:
		if len(line) > 0 {
			return errFraming
		}
		f.part = chunkSize
	case trailerLine:
		if len(line) == 0 {
			f.part = requestLine
		}
	}
	return nil
}

// header parses a line of the header section.
func (f *framing) header(line []byte) error {
	switch line[0] {
	case ' ', '\t': // folded
		return errFraming
	case 'C', 'c':
		value, ok := field(line, "content-length:")
		if !ok {
			return nil
		}
		length, err := strconv.ParseUint(value, 10, 63)
		if err != nil || f.sized || f.chunked {
			return errFraming
		}
		f.sized, f.length = true, int64(length)
	case 'T', 't':
		if _, ok := field(line, "transfer-encoding:"); !ok {
			return nil
		}
		if f.sized || f.http10 { // net/http ignores it in HTTP/1.0
			return errFraming
		}
		f.chunked = true // net/http refuses other codings
	}
	return nil
}

// field returns the value of a header line with the name, which ends with a colon.
func field(line []byte, name string) (value string, ok bool) {
	if len(line) < len(name) || !bytes.EqualFold(line[:len(name)], []byte(name)) {
		return "", false
	}
	return string(bytes.Trim(line[len(name):], " \t")), true
}

// body is called at the end of the header section.
func (f *framing) body() {
	f.part = requestLine
	switch {
	case f.chunked:
		f.part = chunkSize
	case f.sized:
		f.left = f.length
	}
}
