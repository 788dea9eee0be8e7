package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"tenantry/internal/config"
)

const (
	// handOver is how long the last spans may take to be handed over when the server stops.
	handOver = 2 * time.Second
	// complainEvery is how often it is said at most that spans cannot be handed over.
	complainEvery = time.Minute
	// exportTimeout is how long a collector may take to answer.
	exportTimeout = 10 * time.Second
)

// OpenTraces returns the tracer that a configuration asks for, nil if it asks for none, and what
// hands over the last spans. A collector that is away or slow costs spans and nothing else.
func OpenTraces(ctx context.Context, cfg config.Config, log *slog.Logger) (tracer trace.Tracer, end func(), err error) {
	if cfg.OTLPEndpoint == "" {
		return nil, func() {}, nil
	}
	address, err := url.JoinPath(cfg.OTLPEndpoint, "v1/traces")
	if err != nil {
		return nil, nil, fmt.Errorf("find the traces of %s: %w", cfg.OTLPEndpoint, err)
	}
	// Who is sent elsewhere would take the secrets of its headers there.
	client := &http.Client{Timeout: exportTimeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(address),
		otlptracehttp.WithHTTPClient(client))
	if err != nil {
		return nil, nil, fmt.Errorf("open traces: %w", err)
	}
	source, err := resource.New(ctx, resource.WithAttributes(semconv.ServiceName("tenantry")), resource.WithFromEnv(),
		resource.WithHost())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, nil, fmt.Errorf("describe this process to traces: %w", err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(&reporting{SpanExporter: exporter, log: log}), sdktrace.WithResource(source),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(cfg.OTLPSample))),
	)
	log.InfoContext(ctx, "tracing", "to", address, "sample", cfg.OTLPSample)
	return provider.Tracer("tenantry/internal/httpapi"), func() {
		// ctx is over when the server stops.
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), handOver)
		defer cancel()
		if err := provider.Shutdown(ending); err != nil {
			log.WarnContext(ending, "the last spans were lost", "error", err)
		}
	}, nil
}

// reporting hands spans over, and says now and then that it cannot.
type reporting struct {
	sdktrace.SpanExporter
	log *slog.Logger
	// said is when it was said last. Batches are handed over one after the other.
	said time.Time
}

// ExportSpans hands a batch over. What cannot be is lost.
func (r *reporting) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := r.SpanExporter.ExportSpans(ctx, spans)
	if err != nil && time.Since(r.said) > complainEvery {
		r.said = time.Now()
		r.log.WarnContext(ctx, "spans were lost", "spans", len(spans), "error", err)
	}
	return nil
}
