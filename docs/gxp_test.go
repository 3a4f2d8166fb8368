package docs_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
)

// ownTree reads the project's own .gxp/ as a scan would.
func ownTree(t *testing.T) rosie.Tree {
	t.Helper()
	tree, err := rosie.Read(t.Context(), os.DirFS(root), rosie.Options{At: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestTheProjectsOwnArtifactsPassTheStrictestPolicyWithoutAFinding(t *testing.T) {
	t.Parallel()
	tree := ownTree(t)
	events, err := domain.Decide(domain.State{}, domain.Scan{
		Head:  domain.Head{Policy: domain.DefaultPolicy()},
		Files: tree.Files, Findings: tree.Findings, Faults: tree.Faults,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range events {
		switch e := event.(type) {
		case domain.ArtifactRejected:
			t.Errorf("%s:%d: %s", e.Path, e.Line, e.Message)
		case domain.ArtifactParsed:
			for _, f := range e.Findings {
				t.Errorf("%s:%d: %s", e.Path, f.Line, f.Text)
			}
		case domain.ScanCompleted:
			if e.Links.Sound < 50 || len(e.Findings) > 0 {
				t.Errorf("%d sound links and findings %v; want the whole chain and no finding", e.Links.Sound, e.Findings)
			}
		case domain.RepositoryRegistered, domain.RepositoryChanged, domain.RepositoryRetired, domain.ArtifactRemoved, domain.ArtifactRelinked,
			domain.RejectionCleared, domain.ScanFailed, domain.ScanAttemptFailed, domain.KeyTrusted, domain.KeyRevoked, domain.RelayAdded, domain.RelayRemoved, domain.AdminActed:
		}
	}
}

func TestEveryFileThatASpecNamesExists(t *testing.T) {
	t.Parallel()
	specs := 0
	for _, file := range ownTree(t).Files {
		for _, a := range file.Artifacts {
			if a.Kind == domain.KindSpec {
				specs++
				checkFiles(t, a)
			}
		}
	}
	if specs == 0 {
		t.Error("no spec found")
	}
}

func checkFiles(t *testing.T, spec domain.Artifact) {
	t.Helper()
	var fields struct {
		Source []string `json:"source_files"`
		Tests  []string `json:"test_files"`
	}
	if err := json.Unmarshal(spec.Fields, &fields); err != nil {
		t.Fatalf("%s: %v", spec.Path, err)
	}
	if len(fields.Source) == 0 || len(fields.Tests) == 0 {
		t.Errorf("%s names %d source files and %d test files; want at least one of each",
			spec.Path, len(fields.Source), len(fields.Tests))
	}
	for _, name := range append(fields.Source, fields.Tests...) {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			t.Errorf("%s names a file that is not there: %v", spec.Path, err)
		}
	}
}
