package apitest

import (
	"bytes"
	"sync"
)

// LogBuffer collects what a server logs, of every level.
type LogBuffer struct {
	mu sync.Mutex
	bytes.Buffer
	flush func()
	// lost says that nothing is collected any more.
	lost bool
}

// Write collects lines of the log.
func (b *LogBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lost {
		return len(p), nil
	}
	return b.Buffer.Write(p)
}

// Discard drops what is logged from now on.
func (b *LogBuffer) Discard() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lost = true
}

// String returns what was logged.
func (b *LogBuffer) String() string {
	if b.flush != nil {
		b.flush()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}
