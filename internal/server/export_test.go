package server

import "time"

// Bootstrap makes the first tenant, for tests that wire a server without running it.
var Bootstrap = bootstrap

// Forget empties the cache.
func (s *Server) Forget() { s.cache.Reset() }

// CatchUp waits until everything was heard of that any instance had changed before.
func (s *Server) CatchUp() {
	for asked := time.Now(); s.cache.Behind() > time.Since(asked); {
		time.Sleep(time.Millisecond)
	}
}
