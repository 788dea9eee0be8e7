package server

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tenantry/internal/config"
)

// secretFile is the name of the secret in the data folder.
const secretFile = "secret"

// secret returns the configured secret. With SQLite there need be none: then it is made once and kept beside the database,
// readable by its owner alone.
func secret(cfg config.Config) ([]byte, error) {
	if cfg.Secret != "" {
		return []byte(cfg.Secret), nil
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	path := filepath.Join(cfg.DataDir, secretFile)
	made := make([]byte, 48)
	_, _ = rand.Read(made) // never fails (crypto/rand)
	// Written whole under another name first: a start that is cut off leaves no half of a secret, and of two starters the
	// link lets one win.
	draft, err := os.CreateTemp(cfg.DataDir, secretFile+"-")
	if err != nil {
		return nil, fmt.Errorf("make the secret: %w", err)
	}
	defer func() { _ = os.Remove(draft.Name()) }()
	_, err = draft.WriteString(base64.StdEncoding.EncodeToString(made))
	if err = errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return nil, fmt.Errorf("make the secret: %w", err)
	}
	if err := os.Link(draft.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make the secret: %w", err)
	}
	kept, err := os.ReadFile(path) //nolint:gosec // the operator names the data folder
	if err != nil {
		return nil, fmt.Errorf("read the secret: %w", err)
	}
	if err := config.CheckSecret(string(kept)); err != nil {
		return nil, fmt.Errorf("the secret in %s %w", path, err)
	}
	return kept, nil
}
