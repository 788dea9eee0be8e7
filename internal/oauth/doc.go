// Package oauth is sign-in at other people's OAuth 2.0 and OpenID Connect providers: which there are, for the whole server and for
// each tenant.
//
// What a session or a password is, it leaves to auth.
package oauth
