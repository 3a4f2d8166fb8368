package tables_test

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/gxpledger/gxpledger/projections/tables"
)

// golden is the generated page that readers of the tables rely on.
const golden = "../../docs/tables.md"

func TestTheDocumentedTablesAreTheTables(t *testing.T) {
	t.Parallel()
	var now bytes.Buffer
	if err := tables.Catalogue(&now, tables.All()); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(golden, now.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept, now.Bytes()) {
		t.Errorf("docs/tables.md is not what the definitions say; run UPDATE_GOLDEN=1 go test ./projections/tables and review the difference")
	}
}

func TestCatalogueReportsThatItCannotWrite(t *testing.T) {
	t.Parallel()
	if err := tables.Catalogue(full{}, tables.All()); !errors.Is(err, errFull) {
		t.Errorf("error %v, want %v", err, errFull)
	}
}

var errFull = errors.New("disk is full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }
