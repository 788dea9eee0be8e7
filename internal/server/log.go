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
	// logDelay is how long a line may wait for others, so that no request waits for its own.
	logDelay = 50 * time.Millisecond
	// logBytes is how much may wait.
	logBytes = 64 << 10
)

// NewLogger returns the logger that the configuration asks for: text for a person at a terminal,
// else JSON. Lines of no urgency are written together; flush writes those that still wait.
func NewLogger(cfg config.Config, out io.Writer) (log *slog.Logger, flush func()) {
	opts := &slog.HandlerOptions{Level: cfg.LogLevel}
	format := cfg.LogFormat
	if f, ok := out.(*os.File); format == "" && ok && term.IsTerminal(int(f.Fd())) {
		format = "text"
	}
	lines := &gathered{out: out, lines: make([]byte, 0, logBytes)}
	if format == "text" {
		return slog.New(urgent{slog.NewTextHandler(lines, opts), lines, false}), lines.flush
	}
	return slog.New(urgent{slog.NewJSONHandler(lines, opts), lines, true}), lines.flush
}

// jsonLines returns where a log writes lines that are JSON and nothing else, nil if it does not.
func jsonLines(log *slog.Logger) io.Writer {
	if u, ok := log.Handler().(urgent); ok && u.bare {
		return u.lines
	}
	return nil
}

// gathered writes lines together.
type gathered struct {
	out io.Writer

	mu      sync.Mutex
	lines   []byte
	waiting bool
}

// Write takes a line.
func (g *gathered) Write(line []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.waiting {
		g.waiting = true
		time.AfterFunc(logDelay, g.flush)
	}
	if len(g.lines)+len(line) > logBytes {
		g.write()
	}
	g.lines = append(g.lines, line...)
	return len(line), nil
}

func (g *gathered) flush() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = false
	g.write()
}

func (g *gathered) write() {
	if len(g.lines) > 0 {
		_, _ = g.out.Write(g.lines) // there is nowhere to say that nothing can be said
		g.lines = g.lines[:0]
	}
}

// urgent adds to a line the request that it belongs to. It writes lines at once from warnings on,
// since the process may end, and those of security events, which have the attribute "event" and get
// the tenant in which the principal acts and the tenant of its user.
type urgent struct {
	slog.Handler
	lines *gathered
	// bare lines are JSON that has nothing but its own members.
	bare bool
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
