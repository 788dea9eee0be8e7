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

// A key is pending (published), then active (it signs), then retiring (it verifies), then gone.
// Every instance does what is due: each change is conditional on what it was decided upon, so that
// one of them wins and the others do nothing.

const (
	// maxJWKSAge is how long verifiers may keep the key set.
	maxJWKSAge = 5 * time.Minute
	// propagation is how long it takes, at most, until every instance publishes what one has
	// stored.
	propagation = time.Second
)

// MaintainEvery is how often Maintain is to be called: what another instance has done is known
// within a second.
const MaintainEvery = propagation / 2

// errLost means that another instance was faster.
var errLost = errors.New("the signing keys have changed meanwhile")

// MaxAge is how long verifiers may keep the key set: five minutes, or less where keys live shorter.
func (k *Keys) MaxAge() time.Duration {
	return max(time.Second, min(maxJWKSAge, k.rotation-propagation)).Truncate(time.Second)
}

// lead is how long before it signs a key is published: who has just fetched the set from the last
// instance to know of the key has fetched it again by then.
func (k *Keys) lead() time.Duration { return k.MaxAge() + propagation }

// Maintain learns what other instances have done, and does what is due: it publishes the next key,
// or lets it sign.
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

// due reports whether the successor of the active key is to be published. An algorithm that was
// changed is a reason too.
func (k *Keys) due(active *Key, now time.Time) bool {
	return active.Method.Alg() != k.alg || !now.Add(k.lead()).Before(active.notBefore.Add(k.rotation))
}

// end is when the active key should have a successor.
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

// make stores a new key, unless another instance has just made one of that state.
func (k *Keys) make(ctx context.Context, state signingkey.State, notBefore time.Time) error {
	create, err := k.generate(k.client, state, notBefore)
	if err != nil {
		return fmt.Errorf("make a signing key: %w", err)
	}
	if err := create.Exec(ctx); err != nil && !sqlgraph.IsUniqueConstraintError(err) {
		return fmt.Errorf("make a signing key: %w", err)
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

// activate lets the pending key sign and the active one verify what it has signed, as long as any
// of that may live.
func (k *Keys) activate(ctx context.Context, active, pending *Key) error {
	err := database.WithTx(ctx, k.client, func(tx *ent.Client) error {
		if err := k.retire(ctx, tx, active); err != nil {
			return err
		}
		return changed(tx.SigningKey.Update().Where(signingkey.Kid(pending.ID),
			signingkey.StateEQ(signingkey.StatePending)).
			SetState(signingkey.StateActive).SetNotBefore(k.clock()).Save(ctx))
	})
	return lost(err, "activate a signing key")
}

func (k *Keys) retire(ctx context.Context, tx *ent.Client, active *Key) error {
	return changed(tx.SigningKey.Update().Where(signingkey.Kid(active.ID), signingkey.StateEQ(signingkey.StateActive)).
		SetState(signingkey.StateRetiring).SetRetireAt(k.clock().Add(MaxLifetime + Leeway + propagation)).Save(ctx))
}

// changed turns the number of changed rows into an error if there was none.
func changed(n int, err error) error {
	if err == nil && n == 0 {
		return errLost
	}
	return err
}

// lost drops the error of who was not the first.
func lost(err error, doing string) error {
	if err == nil || errors.Is(err, errLost) || sqlgraph.IsUniqueConstraintError(err) {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// RemoveGone deletes the keys that nothing alive was signed with.
func (k *Keys) RemoveGone(ctx context.Context) error {
	if _, err := k.client.SigningKey.Delete().Where(
		signingkey.StateEQ(signingkey.StateRetiring), signingkey.RetireAtLT(k.clock()),
	).Exec(ofNoTenant(ctx)); err != nil {
		return fmt.Errorf("remove signing keys: %w", err)
	}
	return nil
}

// Rotate publishes the next key, or finds it published, and returns its id and when it begins to
// sign. With now it signs at once: who verifies with a set that they keep refuses its tokens until
// they fetch it again.
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

// Revoke deletes a key, and with it every token that it has signed. The pending key, or a new one,
// signs instead of an active one. It reports whether there was such a key.
func (k *Keys) Revoke(ctx context.Context, kid string) (found bool, err error) {
	ctx = ofNoTenant(ctx)
	err = database.WithTx(ctx, k.client, func(tx *ent.Client) error {
		n, err := tx.SigningKey.Delete().Where(signingkey.Kid(kid)).Exec(ctx)
		if found = n > 0; err != nil || !found {
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
	return found, lost(err, "revoke a signing key")
}
