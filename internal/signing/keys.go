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
	// MaxLifetime is the longest lifetime of an access token. A token with a longer one is refused.
	// A key verifies tokens for MaxLifetime after it has stopped signing.
	MaxLifetime = 15 * time.Minute
	// Leeway is how far clocks may be apart.
	Leeway = 30 * time.Second

	rsaBits = 3072
	// loadTimeout is how long a request waits for a key that this instance has not loaded.
	loadTimeout = 2 * time.Second
)

// Key is a key pair in memory. Only the active key has its private part.
type Key struct {
	// ID is the kid of the tokens that the key signs.
	ID      string
	Method  jwt.SigningMethod
	Public  crypto.PublicKey
	Private crypto.Signer
	state   signingkey.State
	// notBefore is when the key begins to sign.
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

// Options are the options of Open.
type Options struct {
	// Keyring derives the key that encrypts private keys.
	Keyring keyring.Keyring
	// Algorithm signs access tokens: ES256, EdDSA or RS256.
	Algorithm string
	// Rotation is how long a key signs. At least 2 seconds.
	Rotation time.Duration
	Clock    func() time.Time
}

// Keys are the keys that sign or verify access tokens. They are stored in the database, private
// parts sealed, and shared by all instances.
type Keys struct {
	client   *ent.Client
	seal     *keyring.Sealer
	alg      string
	rotation time.Duration
	clock    func() time.Time
	current  atomic.Pointer[Set]

	// loading runs one reload at a time, for all callers that wait.
	loading singleflight.Group
}

// Open loads the keys, and creates the first one if there is none. Of several instances that start
// at once one creates it, and the others load it.
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

// load updates the view to the rows that were stored before the call. Concurrent calls share one
// query, so that requests with invented key IDs use one connection at most.
func (k *Keys) load(ctx context.Context) error {
	shared, err := k.join(ctx)
	if err == nil && shared {
		// The shared reload may have begun before the call. The next one has not.
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

// reload replaces the view if a key has changed.
func (k *Keys) reload(ctx context.Context) error {
	rows, err := k.client.SigningKey.Query().Where(signingkey.Or(
		signingkey.RetireAtIsNil(), signingkey.RetireAtGT(k.clock()),
	)).Order(signingkey.ByCreatedAt(), signingkey.ByID()).All(ctx)
	if err != nil {
		return fmt.Errorf("read signing keys: %w", err)
	}
	before := k.current.Load()
	// The query omits retired keys: the tokens that they signed have expired.
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

// read returns the key of a row. It returns loaded, the key of an earlier view, if its state has
// not changed.
func (k *Keys) read(row *ent.SigningKey, loaded *Key) (*Key, error) {
	if loaded != nil && loaded.state == row.State {
		return loaded, nil
	}
	key := &Key{ID: row.Kid, Method: jwt.GetSigningMethod(string(row.Alg)), state: row.State, notBefore: row.NotBefore}
	if loaded != nil {
		key.Public = loaded.Public
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
		return nil, fmt.Errorf("signing key %s cannot be decrypted: %w, or under the file secret of another data "+
			"folder: start with that secret", row.Kid, err)
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

// reseal seals the keys of the previous secret again under the current one, so that the previous
// secret can be removed. It runs at start only: otherwise two instances whose secrets are each
// other's previous one would reseal the keys in turns.
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
			return fmt.Errorf("reseal signing key %s: %w", row.Kid, err)
		}
	}
	return nil
}

// Current returns the keys that this instance has loaded. It returns another pointer if, and only
// if, a key has changed.
func (k *Keys) Current() *Set { return k.current.Load() }

// Find returns the key of an ID, or nil if it does not exist. A key that this instance has not
// loaded is looked up in the database, since another instance may have created it.
func (k *Keys) Find(ctx context.Context, kid string) (*Key, error) {
	if key := k.current.Load().byID[kid]; key != nil {
		return key, nil
	}
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
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
