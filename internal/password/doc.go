// Package password hashes passwords and checks new ones.
//
//	request → Admit (fair, bounded queue) → Hash or Verify (argon2id, a bounded number at once) → leave
//	new password → Check (length, common passwords, names of account and tenant)
//
// Every wrong password takes the same computing time. The package does not know users, sign-ins or
// sessions. It does not count attempts; package ratelimit does.
package password
