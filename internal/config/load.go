package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
	"github.com/spf13/pflag"
)

// Prefix is the prefix of every variable's name.
const Prefix = "TENANTRY_"

// AddFlags adds a flag to the set for every setting of the groups that is not secret. No group
// means every setting.
func AddFlags(flags *pflag.FlagSet, groups ...Group) {
	for f := range fields(groups...) {
		if f.Tag.Get("secret") == "true" {
			continue
		}
		help := f.Tag.Get("help") + " [" + Prefix + f.Tag.Get("env") + "]"
		if f.Tag.Get("file") == "true" {
			help = f.Tag.Get("help") + ", or _FILE [" + Prefix + f.Tag.Get("env") + "]"
		}
		if f.Type.Kind() == reflect.Bool {
			flags.Bool(flagName(f), f.Tag.Get("envDefault") == "true", help)
			continue
		}
		flags.String(flagName(f), f.Tag.Get("envDefault"), help)
	}
}

// Secrets returns the help for the settings of the groups that have no flag, or an empty string.
func Secrets(groups ...Group) string {
	text := ""
	for f := range fields(groups...) {
		if f.Tag.Get("secret") == "true" {
			if text == "" {
				text = "Secrets have no flag:\n"
			}
			key := Prefix + f.Tag.Get("env")
			text += fmt.Sprintf("  %s, or a file that %s_FILE names:\n      %s\n", key, key, f.Tag.Get("help"))
		}
	}
	return text
}

// Loader is Load or LoadServer.
type Loader func(flags *pflag.FlagSet, environ []string) (Config, error)

// Load returns the configuration of a command from the flags that are set, the environment
// (KEY=value) and the files that the environment names. The error lists all invalid settings.
func Load(flags *pflag.FlagSet, environ []string) (Config, error) {
	return load(flags, environ, (*Config).mistakes)
}

// LoadServer is Load for a command that opens the signing keys and therefore requires the secret.
func LoadServer(flags *pflag.FlagSet, environ []string) (Config, error) {
	return load(flags, environ, func(c *Config) []mistake { return append(c.mistakes(), c.noSecret()...) })
}

// LoadListen returns the listen address only. It reads no file, so that a command that calls a
// running server needs no secret.
func LoadListen(flags *pflag.FlagSet, environ []string) (string, error) {
	f, _ := reflect.TypeFor[Config]().FieldByName("Listen")
	listen := f.Tag.Get("envDefault")
	if value := environment(environ)[Prefix+f.Tag.Get("env")]; value != "" {
		listen = value
	}
	if flag := flags.Lookup(flagName(f)); flag != nil && flag.Changed {
		listen = flag.Value.String()
	}
	if err := checkListen(listen); err != nil {
		return "", fmt.Errorf("%s%s: %w", Prefix, f.Tag.Get("env"), err)
	}
	return listen, nil
}

func load(flags *pflag.FlagSet, environ []string, rules func(*Config) []mistake) (Config, error) {
	values := environment(environ)
	var mistakes []mistake
	for f := range fields() {
		name := f.Tag.Get("env")
		if f.Tag.Get("file") == "true" {
			if err := readFile(values, Prefix+name); err != nil {
				mistakes = append(mistakes, mistake{name + "_FILE", err})
			}
		}
		if flag := flags.Lookup(flagName(f)); flag != nil && flag.Changed {
			values[Prefix+name] = flag.Value.String()
		}
	}
	var c Config
	err := env.ParseWithOptions(&c, env.Options{Environment: values, Prefix: Prefix})
	mistakes = append(mistakes, unparsed(err, values)...)
	var ofProviders []mistake
	c.OAuthProviders, ofProviders = oauthProviders(values)
	mistakes = append(mistakes, ofProviders...)
	c.DBPoolDefault = values[Prefix+"DB_POOL_SIZE"] == "" && values[Prefix+"DB_MAX_OVERFLOW"] == ""
	for _, m := range rules(&c) {
		// A setting that could not be parsed is reported once: its zero value may break a rule too.
		if !slices.ContainsFunc(mistakes, func(reported mistake) bool {
			return strings.TrimSuffix(reported.name, "_FILE") == m.name
		}) {
			mistakes = append(mistakes, m)
		}
	}
	if len(mistakes) > 0 {
		lines := make([]error, 0, len(mistakes))
		for _, m := range mistakes {
			lines = append(lines, fmt.Errorf("%s%s: %w", Prefix, m.name, m.err))
		}
		return Config{}, fmt.Errorf("invalid configuration:\n%w", errors.Join(lines...))
	}
	c.derive()
	if secret := env.ToMap(environ)[Prefix+"SECRET"]; secret != "" && Trim(secret) == c.Secret {
		c = c.WithSecret(secret)
	}
	return c, nil
}

// WithSecret returns the configuration with a secret, without the newlines at its end. The secret
// with the newlines becomes the previous one, since earlier versions did not trim secrets.
func (c Config) WithSecret(secret string) Config {
	c.Secret = Trim(secret)
	if c.SecretPrevious == "" && c.Secret != "" && secret != c.Secret {
		c.SecretPrevious = secret
	}
	return c
}

// mistake is the error of one setting.
type mistake struct {
	name string
	err  error
}

// unparsed returns a mistake for each setting whose text could not be parsed.
func unparsed(err error, values map[string]string) []mistake {
	var all env.AggregateError
	if !errors.As(err, &all) {
		if err == nil {
			return nil
		}
		return []mistake{{"", err}}
	}
	var mistakes []mistake
	for _, err := range all.Errors {
		m := mistake{"", err}
		if parse, ok := errors.AsType[env.ParseError](err); ok {
			if f, found := reflect.TypeFor[Config]().FieldByName(parse.Name); found {
				m = mistake{f.Tag.Get("env"), unreadable(f.Type, values[Prefix+f.Tag.Get("env")])}
			}
		}
		mistakes = append(mistakes, m)
	}
	return mistakes
}

// readFile sets KEY to the content of the file that KEY_FILE names, without the newlines at its
// end. It fails if both variables are set or the file is empty.
func readFile(values map[string]string, key string) error {
	path := values[key+"_FILE"]
	if path == "" {
		return nil
	}
	if values[key] != "" {
		return fmt.Errorf("%s and %s_FILE are both set: keep one", key, key)
	}
	content, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	if values[key] = Trim(string(content)); values[key] == "" {
		return fmt.Errorf("%s is empty", path)
	}
	return nil
}

// fields yields the settings of the groups, or every setting without a group.
func fields(groups ...Group) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		t := reflect.TypeFor[Config]()
		for i := range t.NumField() {
			f := t.Field(i)
			if f.Tag.Get("env") == "-" || (len(groups) > 0 && !slices.Contains(groups, Group(f.Tag.Get("group")))) {
				continue
			}
			if !yield(f) {
				return
			}
		}
	}
}

func flagName(f reflect.StructField) string {
	return strings.ToLower(strings.ReplaceAll(f.Tag.Get("env"), "_", "-"))
}
