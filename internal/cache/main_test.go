package cache_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain runs eight tests in parallel by default: the tests of the Redis tier mostly wait.
func TestMain(m *testing.M) {
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		if err := parallel.Value.Set("8"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
