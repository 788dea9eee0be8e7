package server

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"tenantry/internal/config"
	"tenantry/internal/database"
)

// secretFile is the name of the secret in the data folder.
const secretFile = "secret"

// secretTimeout is how long a start waits for another one that has created the file of the secret
// and not yet written it.
const secretTimeout = 5 * time.Second

// WithSecret returns the configuration with a secret. SQLite needs none to be configured: there the
// secret is created at the first start and kept in the data folder, readable by the server's user
// only.
func WithSecret(ctx context.Context, cfg config.Config, log *slog.Logger) (config.Config, error) {
	if cfg.Secret != "" {
		return cfg, nil
	}
	path := filepath.Join(cfg.DataDir, secretFile)
	content, err := readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createSecret(cfg.DataDir, path); err != nil {
			return cfg, fmt.Errorf("create the secret: %w", database.ExplainAccess(err, cfg.DataDir))
		}
		content, err = readSecret(path)
	}
	if err != nil {
		return cfg, fmt.Errorf("read the secret: %w", database.ExplainAccess(err, cfg.DataDir))
	}
	cfg = cfg.WithSecret(content)
	if err := config.CheckSecret(cfg.Secret); err != nil {
		return cfg, fmt.Errorf("the secret in %s %w", path, err)
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o007 != 0 {
		log.WarnContext(ctx, "other users of this machine can read the secret: give its file the mode 0600, "+
			"or mount a file system that keeps no modes with a mask, for example umask=077", "file", path, "mode",
			info.Mode().Perm().String())
	}
	return cfg, nil
}

// createSecret writes a new secret, unless another start has created the file. Exclusive creation
// lets one of several starts win on every file system; hard links, which many network shares do not
// have, are not needed.
func createSecret(dir, path string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY,
		0o600) //nolint:gosec // the operator names the data folder
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	made := make([]byte, 48)
	_, _ = rand.Read(made) // never fails (crypto/rand)
	_, err = file.WriteString(base64.StdEncoding.EncodeToString(made))
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// readSecret returns the content of the file. It waits while the file is empty.
func readSecret(path string) (string, error) {
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		content, err := os.ReadFile(path) //nolint:gosec // the operator names the data folder
		if err != nil || len(content) > 0 {
			return string(content), err
		}
		if time.Since(began) > secretTimeout {
			return "", fmt.Errorf("%s is empty: put its content back, or delete the file if this server has never "+
				"served", path)
		}
	}
}
