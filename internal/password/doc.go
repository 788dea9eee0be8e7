// Package password hashes passwords and decides which new ones are accepted.
//
//	request → Admit (fair, bounded queue) → Hash or Verify (argon2id, a bounded number at once) → leave
//	new password → Check (length, common passwords, words of its account)
//
// Every password that is not right costs the same. The package does not know users, sign-ins or
// sessions, and counts no attempts: package ratelimit does.
package password
