package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/caarlos0/env/v11"
	"github.com/spf13/pflag"
)

// Prefix begins the name of every variable.
const Prefix = "TENANTRY_"

// AddFlags gives the set a flag for every setting that may stand on a command line.
func AddFlags(flags *pflag.FlagSet) {
	for f := range fields() {
		if f.Tag.Get("secret") == "true" {
			continue
		}
		help := f.Tag.Get("help") + " [" + Prefix + f.Tag.Get("env") + "]"
		if f.Type.Kind() == reflect.Bool {
			flags.Bool(flagName(f), false, help)
			continue
		}
		flags.String(flagName(f), f.Tag.Get("envDefault"), help)
	}
}

// Load returns the configuration from the flags that were given, the environment (KEY=value) and the files it names.
// The error lists every mistake.
func Load(flags *pflag.FlagSet, environ []string) (Config, error) {
	values := env.ToMap(environ)
	var mistakes []error
	for f := range fields() {
		key := Prefix + f.Tag.Get("env")
		if f.Tag.Get("file") == "true" {
			mistakes = append(mistakes, readFile(values, key))
		}
		if flag := flags.Lookup(flagName(f)); flag != nil && flag.Changed {
			values[key] = flag.Value.String()
		}
	}
	c, err := env.ParseAsWithOptions[Config](env.Options{Environment: values, Prefix: Prefix})
	var parse env.AggregateError
	switch {
	case errors.As(err, &parse):
		mistakes = append(mistakes, parse.Errors...)
	case err != nil:
		mistakes = append(mistakes, err)
	default:
		c.derive()
		mistakes = append(mistakes, c.mistakes()...)
	}
	if err := errors.Join(mistakes...); err != nil {
		return Config{}, fmt.Errorf("the configuration is not valid:\n%w", err)
	}
	return c, nil
}

// readFile replaces KEY by the content of the file that KEY_FILE names, without the newline that editors add.
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
		return fmt.Errorf("%s_FILE: %w", key, err)
	}
	values[key] = strings.TrimRight(string(content), "\r\n")
	return nil
}

func fields() func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		t := reflect.TypeFor[Config]()
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

func flagName(f reflect.StructField) string {
	return strings.ToLower(strings.ReplaceAll(f.Tag.Get("env"), "_", "-"))
}
