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

// pingTimeout is how long /readyz waits for the database.
const pingTimeout = time.Second

// health answers the health checks of orchestrators and load balancers.
type health struct {
	db       *database.DB
	draining *atomic.Bool
}

// GetHealth answers GET /healthz. It checks no dependency: a restart would not repair one.
func (health) GetHealth(context.Context, api.GetHealthRequestObject) (api.GetHealthResponseObject, error) {
	return api.GetHealth200JSONResponse{Status: api.Ok}, nil
}

// GetReadiness answers GET /readyz: 503 while the database does not respond or accepts no writes,
// and while the server drains.
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
