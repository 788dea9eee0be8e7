package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"tenantry/internal/database/dbtest"
	"tenantry/internal/server"
)

// The start line names the address and the version. The served contract has the same version.
func TestVersion_isInStartLineAndContract(t *testing.T) {
	t.Parallel()
	cfg := fresh(dbtest.EmptySQLite(t))
	cfg.PublicURL = "https://id.acme.test/auth"
	p := run(t, cfg)
	var line map[string]any
	for l := range strings.Lines(p.log.String()) {
		if strings.Contains(l, `"msg":"serving"`) {
			if err := json.Unmarshal([]byte(l), &line); err != nil {
				t.Fatal(err)
			}
		}
	}
	if line["public_url"] != cfg.PublicURL || line["version"] != server.Version() || line["address"] == nil {
		t.Errorf("the start line is %v", line)
	}
	response, err := http.Get(p.url + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var contract struct{ Info struct{ Version string } }
	if err := json.NewDecoder(response.Body).Decode(&contract); err != nil {
		t.Fatal(err)
	}
	if contract.Info.Version != server.Version() {
		t.Errorf("the contract is of version %q, the server of %q", contract.Info.Version, server.Version())
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
}
