package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"tenantry/internal/auth"
)

// forgetEvery is how often what no longer counts is removed.
const forgetEvery = time.Minute

// Work does what no request waits for, until ctx is done. Every instance may do all of it.
func (s *Server) Work(ctx context.Context) {
	var jobs sync.WaitGroup
	jobs.Go(func() { s.every(ctx, auth.KeysMaintained, "maintain signing keys", s.keys.Maintain) })
	jobs.Go(func() { s.every(ctx, forgetEvery, "remove signing keys", s.keys.RemoveGone) })
	jobs.Go(func() { s.every(ctx, forgetEvery, "forget attempts", s.Auth.ForgetAttempts) })
	jobs.Go(func() { s.every(ctx, forgetEvery, "remove sessions", s.Auth.RemoveSessions) })
	jobs.Wait()
}

// every runs a job again and again. A job that fails is tried again in its turn.
func (s *Server) every(ctx context.Context, interval time.Duration, name string, job func(context.Context) error) {
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			if err := job(ctx); err != nil && ctx.Err() == nil {
				s.log.LogAttrs(ctx, slog.LevelWarn, "job failed", slog.String("job", name), slog.Any("error", err))
			}
		}
	}
}
