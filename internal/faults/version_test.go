package faults_test

import (
	"os/exec"
	"testing"
)

// An image is built without a repository, so that the version comes from -ldflags.
func TestVersion_isFromBuild(t *testing.T) {
	t.Parallel()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), path, "version").Output()
	if err != nil || string(out) != version+"\n" {
		t.Errorf("%q, %v", out, err)
	}
}
