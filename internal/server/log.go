package server

import (
	"context"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/term"

	"tenantry/internal/config"
	"tenantry/internal/httpapi"
	"tenantry/internal/principal"
)

const (
	// logDelay is how long a line may be buffered. Buffered lines are written together, and no
	// request waits for the write.
	logDelay = 50 * time.Millisecond
	// logBytes is the size of the buffer.
	logBytes = 64 << 10
)

// NewLogger returns the logger of a configuration: text on a terminal, else JSON, unless the format
// is set. Lines that are not urgent are buffered; flush writes the buffer.
func NewLogger(cfg config.Config, out io.Writer) (log *slog.Logger, flush func()) {
	opts := &slog.HandlerOptions{Level: cfg.LogLevel}
	format := cfg.LogFormat
	if f, ok := out.(*os.File); format == "" && ok && term.IsTerminal(int(f.Fd())) {
		format = "text"
	}
	lines := &buffered{out: out, lines: make([]byte, 0, logBytes)}
	if format == "text" {
		return slog.New(urgent{slog.NewTextHandler(lines, opts), lines, false}), lines.flush
	}
	return slog.New(urgent{slog.NewJSONHandler(lines, opts), lines, true}), lines.flush
}

// jsonLines returns the writer of a log of JSON lines without further attributes or groups, or nil.
func jsonLines(log *slog.Logger) io.Writer {
	if u, ok := log.Handler().(urgent); ok && u.plainJSON {
		return u.lines
	}
	return nil
}

// buffered writes lines together.
type buffered struct {
	out io.Writer

	mu    sync.Mutex
	lines []byte
	// scheduled reports that a flush is due within logDelay.
	scheduled bool
}

// Write adds a line to the buffer.
func (b *buffered) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.scheduled {
		b.scheduled = true
		time.AfterFunc(logDelay, b.flush)
	}
	if len(b.lines)+len(line) > logBytes {
		b.write()
	}
	b.lines = append(b.lines, line...)
	return len(line), nil
}

func (b *buffered) flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.scheduled = false
	b.write()
}

func (b *buffered) write() {
	if len(b.lines) > 0 {
		_, _ = b.out.Write(b.lines) // an error of the log cannot be logged
		b.lines = b.lines[:0]
	}
}

// urgent adds the request ID to lines. It flushes the buffer after warnings and errors, since the
// process may end, and after security events. These have the attribute "event"; urgent adds the
// tenant in which the principal acts and the tenant of its user.
type urgent struct {
	slog.Handler
	lines *buffered
	// plainJSON reports that lines are JSON without attributes or groups of the handler.
	plainJSON bool
}

func (u urgent) Handle(ctx context.Context, line slog.Record) error {
	has := map[string]bool{}
	line.Attrs(func(a slog.Attr) bool {
		has[a.Key] = true
		return true
	})
	if id := httpapi.RequestID(ctx); id != "" && !has["request_id"] {
		line.AddAttrs(slog.String("request_id", id))
	}
	event := has["event"]
	if p, ok := principal.FromContext(ctx); ok && event && p.TenantID != uuid.Nil {
		if !has["tenant_id"] {
			line.AddAttrs(slog.String("tenant_id", p.TenantID.String()))
		}
		line.AddAttrs(slog.String("home_tenant_id", p.Home().String()))
	}
	err := u.Handler.Handle(ctx, line)
	if event || line.Level >= slog.LevelWarn {
		u.lines.flush()
	}
	return err
}

func (u urgent) WithAttrs(attrs []slog.Attr) slog.Handler {
	return urgent{u.Handler.WithAttrs(attrs), u.lines, false}
}

func (u urgent) WithGroup(name string) slog.Handler {
	return urgent{u.Handler.WithGroup(name), u.lines, false}
}
