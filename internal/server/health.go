package server

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"tenantry/internal/api"
	"tenantry/internal/database"
	"tenantry/internal/problem"
)

// pingTimeout is how long readiness waits for the database.
const pingTimeout = time.Second

// health tells whoever starts, stops and balances instances how this one is.
type health struct {
	db       *database.DB
	draining *atomic.Bool
}

// GetHealth answers GET /healthz. It asks nothing of anybody: a restart would not mend a
// dependency.
func (health) GetHealth(context.Context, api.GetHealthRequestObject) (api.GetHealthResponseObject, error) {
	return api.GetHealth200JSONResponse{Status: api.Ok}, nil
}

// GetReadiness answers GET /readyz: 503 while the database does not answer or accepts no writes,
// and from the moment the server is told to stop.
func (h health) GetReadiness(ctx context.Context, _ api.GetReadinessRequestObject) (api.GetReadinessResponseObject,
	error) {
	if h.draining.Load() {
		return nil, problem.Unavailable(errors.New("the server is stopping"))
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if err := h.db.Ready(ctx); err != nil {
		return nil, problem.Unavailable(err)
	}
	return api.GetReadiness200JSONResponse{Status: api.Ok}, nil
}
