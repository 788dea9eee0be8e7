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
	path := filepath.Join(cfg.DataDir, secretFile)
	kept, err := os.ReadFile(path) //nolint:gosec // the operator names the data folder
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeSecret(cfg.DataDir, path); err != nil {
			return nil, fmt.Errorf("make the secret: %w", err)
		}
		kept, err = os.ReadFile(path) //nolint:gosec // the operator names the data folder
	}
	if err != nil {
		return nil, fmt.Errorf("read the secret: %w", err)
	}
	if err := config.CheckSecret(string(kept)); err != nil {
		return nil, fmt.Errorf("the secret in %s %w", path, err)
	}
	return kept, nil
}

// makeSecret writes a secret whole under another name first: a start that is cut off leaves no half of one, and of two
// starters the link lets one win.
func makeSecret(dir, path string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	draft, err := os.CreateTemp(dir, secretFile+"-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(draft.Name()) }()
	made := make([]byte, 48)
	_, _ = rand.Read(made) // never fails (crypto/rand)
	_, err = draft.WriteString(base64.StdEncoding.EncodeToString(made))
	if err := errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return err
	}
	if err := os.Link(draft.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
