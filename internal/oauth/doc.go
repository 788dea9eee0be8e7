// Package oauth is sign-in at other people's OAuth 2.0 and OpenID Connect providers: which there
// are, for the whole server and for each tenant, and the flow that leads a browser there and back.
//
//	authorize.go  the tenant, the provider ─ a state is stored, a cookie set ─▶ the provider
//	finish.go     ─▶ state.go: consumed, once ─ upstream.go: still offered? ─ identity.go: who is it?
//	              ─ link.go: whom do we know that as? ─▶ outcome.go: kept for a minute
//	              ─▶ the application, with a code ─ exchange ─▶ tokens
//
// Everything that a provider says passes through peer.go, which bounds what it may cost. What a
// session, a password or a one-time token is, it leaves to auth.
package oauth
