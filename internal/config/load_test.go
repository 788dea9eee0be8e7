package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tenantry/internal/config"
)

// fileSettings are settings that may be read from a file, which keeps them out of the environment.
var fileSettings = []struct {
	name, value string
	get         func(config.Config) string
}{
	{"DATABASE_URL", "postgres://tenantry:canary@db/tenantry", func(c config.Config) string { return c.DatabaseURL }},
	{"SECRET", goodSecret, func(c config.Config) string { return c.Secret }},
	{"BOOTSTRAP_PASSWORD", " correct horse battery staple ", func(c config.Config) string {
		return c.BootstrapPassword
	}},
}

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFile_setsValue(t *testing.T) {
	t.Parallel()
	for _, s := range fileSettings {
		for ending, name := range map[string]string{"": "plain", "\n": "newline", "\r\n": "carriage_return"} {
			t.Run(s.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				c, err := load(t, nil, append(companions(s.name), "TENANTRY_"+s.name+"_FILE="+
					write(t, s.value+ending))...)
				if err != nil {
					t.Fatal(err)
				}
				if got := s.get(c); got != s.value {
					t.Errorf("%q, want %q", got, s.value)
				}
			})
		}
	}
}

func TestFile_withVariableIsRefused(t *testing.T) {
	t.Parallel()
	for _, s := range fileSettings {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, nil, append(companions(s.name), "TENANTRY_"+s.name+"="+s.value, "TENANTRY_"+s.name+
				"_FILE="+write(t, s.value))...)
			if err == nil || !strings.Contains(err.Error(), "TENANTRY_"+s.name+" and TENANTRY_"+s.name+
				"_FILE are both set") {
				t.Fatalf("error %v", err)
			}
			if strings.Contains(err.Error(), s.value) {
				t.Errorf("the error repeats the value: %v", err)
			}
		})
	}
}

func TestFile_missingIsRefused(t *testing.T) {
	t.Parallel()
	for _, s := range fileSettings {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, nil, append(companions(s.name), "TENANTRY_"+s.name+"_FILE="+
				filepath.Join(t.TempDir(), "none"))...)
			if err == nil || !strings.Contains(err.Error(), "TENANTRY_"+s.name+"_FILE: ") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestFile_otherSettingsIgnoreIt(t *testing.T) {
	t.Parallel()
	c, err := load(t, nil, "TENANTRY_LISTEN_FILE="+write(t, "192.0.2.7:80"))
	if err != nil || c.Listen != "127.0.0.1:8080" {
		t.Errorf("%q, %v", c.Listen, err)
	}
}

func TestFlag_precedesFile(t *testing.T) {
	t.Parallel()
	c, err := load(t, []string{"--database-url=postgres://flag/db"},
		"TENANTRY_SECRET="+goodSecret, "TENANTRY_DATABASE_URL_FILE="+write(t, "postgres://file/db"))
	if err != nil || c.DatabaseURL != "postgres://flag/db" {
		t.Errorf("%q, %v", c.DatabaseURL, err)
	}
}

func TestFlag_atItsDefaultPrecedesEnvironment(t *testing.T) {
	t.Parallel()
	c, err := load(t, []string{"--listen=127.0.0.1:8080", "--server-timing=false"}, "TENANTRY_LISTEN=192.0.2.7:80",
		"TENANTRY_SERVER_TIMING=true")
	if err != nil || c.Listen != "127.0.0.1:8080" || c.ServerTiming {
		t.Errorf("%q, %v, %v", c.Listen, c.ServerTiming, err)
	}
}

func TestLoad_reportsAllMistakesTogether(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		environ []string
		want    []string
	}{
		{"values_that_parse",
			[]string{"LISTEN=nowhere", "JWT_ALGORITHM=none", "SECRET=hunter2", "LOG_FORMAT=xml", "DB_POOL_SIZE=-1",
				"REFRESH_GRACE=1h"},
			[]string{"LISTEN", "JWT_ALGORITHM", "SECRET", "LOG_FORMAT", "DB_POOL_SIZE", "REFRESH_GRACE"}},
		{"values_that_do_not_parse",
			[]string{"ACCESS_TOKEN_TTL=soon", "DB_POOL_SIZE=many", "LOG_LEVEL=loud", "TRUSTED_PROXIES=everyone",
				"SERVER_TIMING=perhaps"},
			[]string{"ACCESS_TOKEN_TTL", "DB_POOL_SIZE", "LOG_LEVEL", "TRUSTED_PROXIES", "SERVER_TIMING"}},
		{"both_and_a_file",
			[]string{"LISTEN=nowhere", "REFRESH_GRACE=soon", "JWT_ALGORITHM=none", "SECRET=hunter2",
				"DATABASE_URL_FILE=/does/not/exist"},
			[]string{"LISTEN", "REFRESH_GRACE", "JWT_ALGORITHM", "SECRET", "DATABASE_URL_FILE"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var environ []string
			for _, e := range test.environ {
				environ = append(environ, "TENANTRY_"+e)
			}
			c, err := load(t, nil, environ...)
			if err == nil {
				t.Fatal("accepted")
			}
			lines := strings.Split(err.Error(), "\n")[1:]
			for _, name := range test.want {
				if n := count(lines, "TENANTRY_"+name+":"); n != 1 {
					t.Errorf("TENANTRY_%s is named in %d lines of\n%v", name, n, err)
				}
			}
			if len(lines) != len(test.want) {
				t.Errorf("%d mistakes reported, want %d:\n%v", len(lines), len(test.want), err)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error repeats the secret:\n%v", err)
			}
			if c.Listen != "" {
				t.Error("a configuration is returned with the error")
			}
		})
	}
}

func count(lines []string, prefix string) int {
	n := 0
	for _, line := range lines {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
}

func TestLoad_poolThatIsSetIsNotDefault(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ args, environ []string }{
		{nil, []string{"TENANTRY_DB_POOL_SIZE=25"}},
		{nil, []string{"TENANTRY_DB_MAX_OVERFLOW=50"}},
		{[]string{"--db-pool-size=25"}, nil},
		{[]string{"--db-max-overflow=50"}, nil},
	} {
		if c, err := load(t, test.args, test.environ...); err != nil || c.DBPoolDefault {
			t.Errorf("%v %v: DBPoolDefault is true, %v", test.args, test.environ, err)
		}
	}
}
