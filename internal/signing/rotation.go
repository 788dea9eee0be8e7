package signing

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"entgo.io/ent/dialect/sql/sqlgraph"

	"tenantry/ent"
	"tenantry/ent/signingkey"
	"tenantry/internal/database"
)

// A key is pending (published), then active (signs), then retiring (verifies), then deleted. Every
// instance makes the changes that are due. Each change is conditional on the state that the
// decision was based on, so that one instance makes it and the others do nothing.

const (
	// maxJWKSAge is how long verifiers may cache the key set at most.
	maxJWKSAge = 5 * time.Minute
	// propagation is the longest time until every instance publishes a key that one has stored.
	propagation = time.Second
)

// MaintainEvery is the interval between calls of Maintain. It is shorter than propagation, so that
// an instance loads the changes of the others in time.
const MaintainEvery = propagation / 2

// errLost means that another instance has made the change.
var errLost = errors.New("another instance has changed the signing keys: try again")

// MaxAge is how long verifiers may cache the key set: five minutes, or less if the rotation is
// shorter.
func (k *Keys) MaxAge() time.Duration {
	return max(time.Second, min(maxJWKSAge, k.rotation-propagation)).Truncate(time.Second)
}

// lead is how long a key is published before it signs. A verifier that has fetched the set just
// before the last instance published the key fetches it again within that time.
func (k *Keys) lead() time.Duration { return k.MaxAge() + propagation }

// Maintain loads the changes of other instances, and creates or activates the next key if that is
// due.
func (k *Keys) Maintain(ctx context.Context) error {
	ctx = ofNoTenant(ctx)
	if err := k.load(ctx); err != nil {
		return err
	}
	set, now := k.current.Load(), k.clock()
	var err error
	switch {
	case set.Active == nil:
		err = k.make(ctx, signingkey.StateActive, now)
	case set.pending != nil && !now.Before(set.pending.notBefore):
		err = k.activate(ctx, set.Active, set.pending)
	case set.pending == nil && k.due(set.Active, now):
		err = k.make(ctx, signingkey.StatePending, later(now.Add(k.lead()), k.end(set.Active)))
	default:
		return nil
	}
	if err != nil {
		return err
	}
	return k.load(ctx)
}

// due reports whether the successor of the active key must be published. It is due at once if the
// configured algorithm has changed.
func (k *Keys) due(active *Key, now time.Time) bool {
	return active.Method.Alg() != k.alg || !now.Add(k.lead()).Before(active.notBefore.Add(k.rotation))
}

// end is when the successor of the active key should begin to sign.
func (k *Keys) end(active *Key) time.Time {
	if active.Method.Alg() != k.alg {
		return time.Time{}
	}
	return active.notBefore.Add(k.rotation)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// make stores a new key, unless another instance has just created one of that state.
func (k *Keys) make(ctx context.Context, state signingkey.State, notBefore time.Time) error {
	create, err := k.generate(k.client, state, notBefore)
	if err != nil {
		return fmt.Errorf("create signing key: %w", err)
	}
	if err := create.Exec(ctx); err != nil && !sqlgraph.IsUniqueConstraintError(err) {
		return fmt.Errorf("create signing key: %w", err)
	}
	return nil
}

func (k *Keys) generate(client *ent.Client, state signingkey.State, notBefore time.Time) (*ent.SigningKeyCreate,
	error) {
	private, err := generateKey(k.alg)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	kid := rand.Text()
	return client.SigningKey.Create().SetKid(kid).SetAlg(signingkey.Alg(k.alg)).SetPublicKey(public).
		SetPrivateKey(k.seal.Seal(der, kid)).SetState(state).SetNotBefore(notBefore), nil
}

// activate makes the pending key active, and the active key retiring until the tokens that it has
// signed have expired.
func (k *Keys) activate(ctx context.Context, active, pending *Key) error {
	err := database.WithTx(ctx, k.client, func(tx *ent.Client) error {
		if err := k.retire(ctx, tx, active); err != nil {
			return err
		}
		return changed(tx.SigningKey.Update().Where(signingkey.Kid(pending.ID),
			signingkey.StateEQ(signingkey.StatePending)).
			SetState(signingkey.StateActive).SetNotBefore(k.clock()).Save(ctx))
	})
	return lost(err, "activate signing key")
}

func (k *Keys) retire(ctx context.Context, tx *ent.Client, active *Key) error {
	return changed(tx.SigningKey.Update().Where(signingkey.Kid(active.ID), signingkey.StateEQ(signingkey.StateActive)).
		SetState(signingkey.StateRetiring).SetRetireAt(k.clock().Add(MaxLifetime + Leeway + propagation)).Save(ctx))
}

// changed returns errLost if no row was changed.
func changed(n int, err error) error {
	if err == nil && n == 0 {
		return errLost
	}
	return err
}

// lost returns nil for an error that means that another instance has made the change.
func lost(err error, doing string) error {
	if err == nil || errors.Is(err, errLost) || sqlgraph.IsUniqueConstraintError(err) {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// DeleteRetired deletes the retiring keys whose tokens have all expired.
func (k *Keys) DeleteRetired(ctx context.Context) error {
	if _, err := k.client.SigningKey.Delete().Where(
		signingkey.StateEQ(signingkey.StateRetiring), signingkey.RetireAtLT(k.clock()),
	).Exec(ofNoTenant(ctx)); err != nil {
		return fmt.Errorf("delete retired signing keys: %w", err)
	}
	return nil
}

// Rotate publishes the next key unless it is already published, and returns its ID and when it
// begins to sign. If now is set, it begins at once: verifiers that cache the key set refuse its
// tokens until they fetch the set again.
func (k *Keys) Rotate(ctx context.Context, now bool) (kid string, begins time.Time, err error) {
	ctx = ofNoTenant(ctx)
	if k.current.Load().pending == nil {
		if err := k.make(ctx, signingkey.StatePending, k.clock().Add(k.lead())); err != nil {
			return "", time.Time{}, err
		}
		if err := k.load(ctx); err != nil {
			return "", time.Time{}, err
		}
	}
	set := k.current.Load()
	if set.pending == nil || set.Active == nil {
		return "", time.Time{}, errLost
	}
	if !now {
		return set.pending.ID, set.pending.notBefore, nil
	}
	return set.pending.ID, k.clock(), k.activate(ctx, set.Active, set.pending)
}

// Revoke deletes a key, so that every token that it has signed is refused. The pending key, or a
// new one, replaces an active key. revoked reports whether the key existed.
func (k *Keys) Revoke(ctx context.Context, kid string) (revoked bool, err error) {
	ctx = ofNoTenant(ctx)
	err = database.WithTx(ctx, k.client, func(tx *ent.Client) error {
		n, err := tx.SigningKey.Delete().Where(signingkey.Kid(kid)).Exec(ctx)
		if revoked = n > 0; err != nil || !revoked {
			return err
		}
		active, err := tx.SigningKey.Query().Where(signingkey.StateEQ(signingkey.StateActive)).Exist(ctx)
		if err != nil || active {
			return err
		}
		promoted, err := tx.SigningKey.Update().Where(signingkey.StateEQ(signingkey.StatePending)).
			SetState(signingkey.StateActive).SetNotBefore(k.clock()).Save(ctx)
		if err != nil || promoted > 0 {
			return err
		}
		create, err := k.generate(tx, signingkey.StateActive, k.clock())
		if err != nil {
			return err
		}
		return create.Exec(ctx)
	})
	return revoked, lost(err, "revoke signing key")
}
