package server_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"tenantry/internal/apitest"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/server"
)

func TestBootstrap_unusablePasswordIsRefused(t *testing.T) {
	t.Parallel()
	cfg := fresh(dbtest.EmptySQLite(t))
	cfg.BootstrapPassword = "correct horse\tbattery staple"
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // or it would serve
	defer cancel()
	if err := server.Run(ctx, cfg, &apitest.LogBuffer{}, slog.New(slog.DiscardHandler)); err == nil ||
		!strings.Contains(err.Error(), "control characters") {
		t.Errorf("%v", err)
	}
}

// A server that listens for other machines with a localhost public URL warns.
func TestRun_listeningEverywhereWithoutPublicURLWarns(t *testing.T) {
	t.Parallel()
	for listen, warned := range map[string]bool{"0.0.0.0:0": true, ":0": true, "[::]:0": true, "127.0.0.1:0": false} {
		for _, byDefault := range []bool{true, false} {
			cfg := fresh(dbtest.EmptySQLite(t))
			cfg.Listen, cfg.PublicURL, cfg.PublicURLDefault = listen, "http://localhost:8080", byDefault
			var logged apitest.LogBuffer
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // what is warned of is known before the database answers
			_ = server.Run(ctx, cfg, &apitest.LogBuffer{}, slog.New(slog.NewTextHandler(&logged, nil)))
			if got := strings.Contains(logged.String(), "TENANTRY_PUBLIC_URL is not set"); got != (warned &&
				byDefault) {
				t.Errorf("%s, default %v: %s", listen, byDefault, logged.String())
			}
		}
	}
}
