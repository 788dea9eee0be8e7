package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Healthcheck asks the server that listens on an address of this machine whether it is alive, or whether it is ready. It
// returns an error unless the answer is 200.
func Healthcheck(ctx context.Context, listen string, ready bool, timeout time.Duration) error {
	if _, port, err := net.SplitHostPort(listen); err != nil || port == "0" {
		return fmt.Errorf("the listen address %q has no port to ask", listen)
	}
	path := "/healthz"
	if ready {
		path = "/readyz"
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+path, nil)
	if err != nil {
		return err
	}
	client := http.Client{
		// No proxy, and the listen address whatever the URL says: an unspecified one leads to this machine.
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, listen)
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("ask %s%s: %w", listen, path, errors.Unwrap(err)) // without the URL, which is not what was called
	}
	defer func() { _ = answer.Body.Close() }()
	if _, err := io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)); err != nil {
		return fmt.Errorf("ask %s%s: %w", listen, path, err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s%s answered %s", listen, path, answer.Status)
	}
	return nil
}
