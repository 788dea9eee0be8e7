// Package principal says who acts, in which tenant and with which permissions. It is carried in the context, from the
// verified token to the policy of every table.
//
// It knows nothing of tokens, HTTP or the database.
package principal
