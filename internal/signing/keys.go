package signing

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/sync/singleflight"

	"tenantry/ent"
	"tenantry/ent/signingkey"
	"tenantry/internal/keyring"
	"tenantry/internal/principal"
)

const (
	// MaxLifetime is the longest that any access token lives; one that claims more was not made
	// here. A key verifies that long after it has stopped signing.
	MaxLifetime = 15 * time.Minute
	// Leeway is how far clocks may be apart.
	Leeway = 30 * time.Second

	rsaBits = 3072
	// keyPatience is how long a request waits for a key that this instance does not know.
	keyPatience = 2 * time.Second
)

// Key is a key pair in memory. The private part is there for the active key alone.
type Key struct {
	// ID is the kid of the tokens that it signs.
	ID      string
	Method  jwt.SigningMethod
	Public  crypto.PublicKey
	Private crypto.Signer
	state   signingkey.State
	// notBefore is when it begins to sign, or has begun.
	notBefore time.Time
}

// Set is an immutable view of the keys in the database.
type Set struct {
	// Active signs.
	Active  *Key
	pending *Key
	byID    map[string]*Key
	// order is oldest first.
	order []*Key
}

// Options are the rules of keys.
type Options struct {
	// Keyring derives the key that encrypts private keys.
	Keyring keyring.Keyring
	// Algorithm signs access tokens: ES256, EdDSA or RS256.
	Algorithm string
	// Rotation is how long a key signs. At least 2 seconds.
	Rotation time.Duration
	Clock    func() time.Time
}

// Keys are the keys that sign access tokens and those that still verify them. They live in the
// database, private parts sealed, so that every instance has the same.
type Keys struct {
	client   *ent.Client
	seal     *keyring.Sealer
	alg      string
	rotation time.Duration
	clock    func() time.Time
	current  atomic.Pointer[Set]

	// loading lets one reader at a time build a view from the one before it, for all who wait.
	loading singleflight.Group
}

// Open loads the keys and makes the first if there is none. Of several instances that start at once
// one makes it, and the others take it over.
func Open(ctx context.Context, client *ent.Client, opts Options) (*Keys, error) {
	seal, err := opts.Keyring.Sealer(keyring.SigningKey)
	if err != nil {
		return nil, err
	}
	k := &Keys{client: client, seal: seal, alg: opts.Algorithm, rotation: opts.Rotation, clock: opts.Clock}
	k.current.Store(&Set{})
	ctx = ofNoTenant(ctx)
	if err := k.reseal(ctx); err != nil {
		return nil, err
	}
	if err := k.load(ctx); err != nil {
		return nil, err
	}
	if k.current.Load().Active == nil {
		if err := k.make(ctx, signingkey.StateActive, k.clock()); err != nil {
			return nil, err
		}
		if err := k.load(ctx); err != nil {
			return nil, err
		}
	}
	return k, nil
}

func ofNoTenant(ctx context.Context) context.Context {
	return principal.System(ctx, "signing keys belong to no tenant")
}

// load brings the view up to date with everything that was stored before the call. Of those who ask
// at once one reads, so that ids that somebody invents cost a connection at most.
func (k *Keys) load(ctx context.Context) error {
	shared, err := k.join(ctx)
	if err == nil && shared {
		// It may have begun before the call; whatever is under way now has not.
		_, err = k.join(ctx)
	}
	return err
}

func (k *Keys) join(ctx context.Context) (shared bool, err error) {
	select {
	case read := <-k.loading.DoChan("", func() (any, error) { return nil, k.reload(context.WithoutCancel(ctx)) }):
		return read.Shared, read.Err
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// reload replaces the view if something has changed.
func (k *Keys) reload(ctx context.Context) error {
	rows, err := k.client.SigningKey.Query().Where(signingkey.Or(
		signingkey.RetireAtIsNil(), signingkey.RetireAtGT(k.clock()),
	)).Order(signingkey.ByCreatedAt(), signingkey.ByID()).All(ctx)
	if err != nil {
		return fmt.Errorf("read signing keys: %w", err)
	}
	before := k.current.Load()
	// A key that has retired is gone: what it signed has expired by then.
	set := &Set{byID: make(map[string]*Key, len(rows))}
	for _, row := range rows {
		key, err := k.read(row, before.byID[row.Kid])
		if err != nil {
			return err
		}
		switch key.state {
		case signingkey.StateActive:
			set.Active = key
		case signingkey.StatePending:
			set.pending = key
		}
		set.byID[key.ID] = key
		set.order = append(set.order, key)
	}
	if !slices.Equal(set.order, before.order) {
		k.current.Store(set)
	}
	return nil
}

// read returns the key of a row: the known one if it is still the same.
func (k *Keys) read(row *ent.SigningKey, known *Key) (*Key, error) {
	if known != nil && known.state == row.State {
		return known, nil
	}
	key := &Key{ID: row.Kid, Method: jwt.GetSigningMethod(string(row.Alg)), state: row.State, notBefore: row.NotBefore}
	if known != nil {
		key.Public = known.Public
	} else {
		public, err := x509.ParsePKIXPublicKey(row.PublicKey)
		if err != nil {
			return nil, fmt.Errorf("read signing key %s: %w", row.Kid, err)
		}
		key.Public = public
	}
	var err error
	if key.state == signingkey.StateActive {
		key.Private, err = k.open(row)
	}
	return key, err
}

func (k *Keys) open(row *ent.SigningKey) (crypto.Signer, error) {
	der, _, err := k.seal.Open(row.PrivateKey, row.Kid)
	if err != nil {
		return nil, fmt.Errorf("signing key %s cannot be opened: %w, or under the file secret of another data "+
			"folder: start with that one",
			row.Kid, err)
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("read signing key %s: %w", row.Kid, err)
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("signing key %s cannot sign", row.Kid)
	}
	return signer, nil
}

// reseal seals under the secret of today what was sealed under the previous one, so that this may
// go. It happens at start alone: two instances whose secrets are each other's previous one would do
// it in turns.
func (k *Keys) reseal(ctx context.Context) error {
	rows, err := k.client.SigningKey.Query().Where(signingkey.StateNEQ(signingkey.StateRetiring)).All(ctx)
	if err != nil {
		return fmt.Errorf("read signing keys: %w", err)
	}
	for _, row := range rows {
		renewed := k.seal.Renew(row.PrivateKey, row.Kid)
		if renewed == nil {
			continue
		}
		if err := k.client.SigningKey.Update().Where(signingkey.ID(row.ID)).SetPrivateKey(renewed).
			Exec(ctx); err != nil {
			return fmt.Errorf("seal signing key %s anew: %w", row.Kid, err)
		}
	}
	return nil
}

// Current returns the keys as this instance knows them. It is another set when one of them has
// changed, and only then.
func (k *Keys) Current() *Set { return k.current.Load() }

// Find returns the key of an id, nil if there is none. One that this instance does not know is
// looked for in the database: another may have made it just now.
func (k *Keys) Find(ctx context.Context, kid string) (*Key, error) {
	if key := k.current.Load().byID[kid]; key != nil {
		return key, nil
	}
	ctx, cancel := context.WithTimeout(ctx, keyPatience)
	defer cancel()
	if err := k.load(ofNoTenant(ctx)); err != nil {
		return nil, err
	}
	return k.current.Load().byID[kid], nil
}

func generateKey(alg string) (crypto.Signer, error) {
	switch alg {
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case "RS256":
		return rsa.GenerateKey(rand.Reader, rsaBits)
	default:
		return nil, fmt.Errorf("unknown algorithm %s", alg)
	}
}
