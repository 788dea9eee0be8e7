package server_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"tenantry/internal/config"
	"tenantry/internal/server"
)

// written records the writes to it. It fails while full.
type written struct {
	mu     sync.Mutex
	pieces []string
	full   bool
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.full {
		return 0, errors.New("no space left on device")
	}
	w.pieces = append(w.pieces, string(p))
	return len(p), nil
}

func (w *written) fill(full bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.full = full
}

func (w *written) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pieces
}

func TestLog_buffersLinesExceptWarnings(t *testing.T) {
	t.Parallel()
	out := &written{}
	log, flush := server.NewLogger(config.Config{}, out)
	log.Info("one")
	log.Info("two")
	if got := out.all(); len(got) != 0 {
		t.Errorf("a line has not waited: %q", got)
	}
	log.With("of", "three").Warn("three")
	if got := out.all(); len(got) != 1 || strings.Count(got[0], "\n") != 3 ||
		!strings.Contains(got[0], `"of":"three"`) {
		t.Fatalf("a warning has waited, or went before others: %q", got)
	}
	log.Info("four")
	flush()
	if got := out.all(); len(got) != 2 || !strings.Contains(got[1], "four") {
		t.Errorf("nothing was flushed: %q", got)
	}
	log.Info("five")
	for deadline := time.Now().Add(10 * time.Second); len(out.all()) < 3; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a line waits for ever")
		}
	}
}

func TestLog_boundsBuffer(t *testing.T) {
	t.Parallel()
	out := &written{}
	log, flush := server.NewLogger(config.Config{LogFormat: "text"}, out)
	const lines = 2_000
	long := strings.Repeat("x", 100)
	for range lines {
		log.Info(long)
	}
	log.Info(strings.Repeat("y", 1<<20))
	flush()
	all := strings.Join(out.all(), "")
	if strings.Count(all, long) != lines || strings.Count(all, "\n") != lines+1 || len(out.all()) < 3 {
		t.Errorf("%d lines in %d pieces", strings.Count(all, "\n"), len(out.all()))
	}
	for _, piece := range out.all() {
		if !strings.HasSuffix(piece, "\n") {
			t.Error("a line was cut")
		}
	}
}

func TestLog_continuesAfterFullDisk(t *testing.T) {
	t.Parallel()
	out := &written{full: true}
	log, _ := server.NewLogger(config.Config{}, out)
	log.Warn("lost")
	out.fill(false)
	log.Warn("kept")
	if got := out.all(); len(got) != 1 || !strings.Contains(got[0], "kept") {
		t.Errorf("wrote %q", got)
	}
}
