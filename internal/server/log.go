package server

import (
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"

	"tenantry/internal/config"
)

// NewLogger returns the logger that the configuration asks for: text for a person at a terminal, else JSON.
func NewLogger(cfg config.Config, out io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: cfg.LogLevel}
	format := cfg.LogFormat
	if f, ok := out.(*os.File); format == "" && ok && term.IsTerminal(int(f.Fd())) {
		format = "text"
	}
	if format == "text" {
		return slog.New(slog.NewTextHandler(out, opts))
	}
	return slog.New(slog.NewJSONHandler(out, opts))
}
