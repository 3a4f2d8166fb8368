package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed/contracts"
)

func TestContractsAreListedAndShownAsTheyAreServed(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	list := d.bare(t.Context(), "contract", "list").wantCode(0).stdout
	for _, name := range append(eventstore.KnownTypes(), contracts.NameAsyncAPI, contracts.NameEnvelope) {
		if !strings.Contains(list, name+" ") {
			t.Errorf("the list has no %s", name)
		}
		want, _ := contracts.Find(contracts.Documents(), name)
		if got := d.bare(t.Context(), "contract", "show", name).wantCode(0).stdout; got != string(want.Data) {
			t.Errorf("contract show %s is not the contract", name)
		}
	}
	var entries []contracts.Entry
	if err := json.Unmarshal([]byte(d.bare(t.Context(), "contract", "list", "--json").wantCode(0).stdout), &entries); err != nil || len(entries) != len(contracts.Documents()) {
		t.Errorf("%d entries, %v", len(entries), err)
	}
	if got := d.bare(t.Context(), "contract", "show", "urn:gxpledger:schema:envelope").wantCode(0).stdout; !strings.Contains(got, `"$id": "urn:gxpledger:schema:envelope"`) {
		t.Errorf("a contract is not shown by the dataschema of an event: %s", got)
	}
	d.bare(t.Context(), "contract", "show", "artifact.pased.v2").wantCode(2).says("did you mean", "artifact.parsed.v2")
	d.bare(t.Context(), "contract", "show", "nothing at all").wantCode(2).says("gxpledger contract list")
	d.bare(t.Context(), "contract", "show").wantCode(2)
	d.writeConfig(d.home, "loging: true\n")
	d.run("contract", "list").wantCode(0) // it needs no home
	if _, err := os.Stat(filepath.Join(d.home, "log.db")); err == nil {
		t.Error("it made a log")
	}
}
