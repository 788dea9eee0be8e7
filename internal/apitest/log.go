package apitest

import (
	"bytes"
	"io"
	"sync"
)

// LogBuffer collects the log of a server, at every level.
type LogBuffer struct {
	mu sync.Mutex
	bytes.Buffer
	flush func()
	// file gets the lines instead, unless it is nil.
	file io.Writer
}

// Write collects lines of the log.
func (b *LogBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.file != nil {
		return b.file.Write(p)
	}
	return b.Buffer.Write(p)
}

// Redirect writes all further lines to a file.
func (b *LogBuffer) Redirect(to io.Writer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.file = to
}

// String returns the collected lines.
func (b *LogBuffer) String() string {
	if b.flush != nil {
		b.flush()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}
