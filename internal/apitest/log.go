package apitest

import (
	"bytes"
	"sync"
)

// LogBuffer collects the log of a server, at every level.
type LogBuffer struct {
	mu sync.Mutex
	bytes.Buffer
	flush   func()
	discard bool
}

// Write collects lines of the log.
func (b *LogBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.discard {
		return len(p), nil
	}
	return b.Buffer.Write(p)
}

// Discard discards all further lines.
func (b *LogBuffer) Discard() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.discard = true
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
