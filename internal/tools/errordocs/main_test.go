package main

import (
	"bytes"
	"os"
	"testing"
)

// The test runs in another folder than the generator.
const fromProblem = "../../problem/"

func TestDocumentAndContract_areGeneratedFromTheCatalogue(t *testing.T) {
	t.Parallel()
	kept, err := os.ReadFile(fromProblem + contract)
	if err != nil {
		t.Fatal(err)
	}
	want, err := inContract(kept)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]byte{contract: want, document: markdown()} {
		if got, err := os.ReadFile(fromProblem + path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the catalogue says: run `task gen` (%v)", path, err)
		}
	}
}
