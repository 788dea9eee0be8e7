// Package network says which client network an address belongs to: what requests of strangers are
// counted by, and share.
package network
