// Package oauth is sign-in at OAuth 2.0 and OpenID Connect providers: the providers of the server
// and of each tenant, and the flow of the browser to the provider and back.
//
//	authorize.go   store a state, set a cookie, redirect ─▶ the provider
//	finish.go      ◀─ consume the state, once (state.go); is the provider still enabled (upstream.go);
//	               identify the user (identity.go); find or link the account (link.go)
//	               ─▶ store the outcome for a minute (outcome.go)
//	               ─▶ the application, with a code ─▶ exchange ─▶ tokens
//
// Every call to a provider passes through provider_client.go, which limits its time and size.
// Package auth owns passwords and one-time tokens, and finishes the sign-in.
package oauth
