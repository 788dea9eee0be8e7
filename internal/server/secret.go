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

// secretTimeout is how long a start waits for another start that has created the file of the secret
// and has not written it yet.
const secretTimeout = 5 * time.Second

// WithSecret returns the configuration with a secret. For SQLite, a secret that is not configured
// is created at the first start and stored in the data folder, readable only by the server's user.
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
		log.WarnContext(ctx, "other users of this machine can read the secret: set the mode of its file to 0600, or "+
			"mount a file system without modes with a mask, for example umask=077", "file", path, "mode",
			info.Mode().Perm().String())
	}
	return cfg, nil
}

// createSecret writes a new secret, unless another start has created the file. Exclusive creation
// works on every file system: many network shares have no hard links.
func createSecret(dir, path string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	const flags = os.O_CREATE | os.O_EXCL | os.O_WRONLY
	file, err := os.OpenFile(path, flags, 0o600) //nolint:gosec // the operator names the data folder
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	secret := make([]byte, 48)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	_, err = file.WriteString(base64.StdEncoding.EncodeToString(secret))
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
			return "", fmt.Errorf("%s is empty: restore its content, or delete the file if this server has never "+
				"served requests", path)
		}
	}
}
