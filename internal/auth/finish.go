package auth

import (
	"context"
	"time"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/internal/principal"
	"tenantry/internal/sessions"
)

// The authentication methods of a proof, as the claim amr names them.
const (
	// MethodPassword is a password (RFC 8176 §2).
	MethodPassword = "pwd"
	// MethodFederated is a sign-in at an OAuth or OpenID Connect provider. RFC 8176 has no value
	// for it; other products use this one.
	MethodFederated = "fed"
)

// Proof is the result of a way to sign in: which user, how and when.
type Proof struct {
	TenantID, UserID uuid.UUID
	// PasswordVersion is that of the user at the time of the proof. A change of the password voids
	// the proof.
	PasswordVersion int
	sessions.Authentication

	// user is the projection of the user if the proof has read it, and client is that of the
	// transaction that created the user. Finish reads the user and uses no transaction without
	// them.
	user   *sessions.Projection
	client *ent.Client
}

// Result is how a sign-in finishes: with the tokens of a new session, or with a challenge. The
// other one is nil.
type Result struct {
	Tokens    *sessions.Tokens
	Challenge *Challenge
}

// Challenge asks for another factor: the proof is valid and does not suffice. Finish returns none
// yet, because no factor exists.
type Challenge struct {
	// Token identifies the sign-in, once, when the client sends the other factor.
	Token string
	// Methods are the authentication methods that the user can use.
	Methods   []string
	ExpiresIn time.Duration
}

// Finish creates the session of a user who has proved who they are. Every way to sign in ends here,
// and nothing else creates a session. It fails with 401 if the user is not active or
// PasswordVersion has changed since the proof, and with 400 if the provider was removed.
func (a *Auth) Finish(ctx context.Context, proof Proof) (*Result, error) {
	acting := principal.NewContext(ctx, principal.OfUser(proof.TenantID, proof.UserID))
	client := proof.client
	if client == nil {
		client = a.client
	}
	user := proof.user
	if user == nil {
		var err error
		if user, err = sessions.ProjectionOfUser(acting, client, proof.UserID); err != nil {
			return nil, err
		}
	}
	if user == nil || !user.Live() || user.PasswordVersion != proof.PasswordVersion {
		return nil, sessions.ErrCredentials
	}
	tokens, err := a.opts.Sessions.Start(acting, client, user, proof.Authentication)
	if err != nil {
		return nil, err
	}
	return &Result{Tokens: tokens}, nil
}

// passwordProof is the proof of a user who has entered or chosen their password now.
func (a *Auth) passwordProof(user *ent.User, from sessions.Origin) Proof {
	return Proof{
		TenantID: user.TenantID, UserID: user.ID, PasswordVersion: user.PasswordVersion,
		Authentication: sessions.Authentication{At: a.opts.Clock(), Methods: []string{MethodPassword}, From: from},
	}
}
