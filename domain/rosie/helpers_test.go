package rosie_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
)

const (
	contextPath = ".gxp/system_context.md"
	contextText = "---\nproject_name: Sample\ngxp_risk_rating: LOW\n---\n# Sample\n"
	reqPath     = ".gxp/requirements/REQ-001-sample.md"
	specPath    = ".gxp/specs/SPEC-001-001-sample.md"
	logPath     = ".gxp/risk_assessment.log"
	jwsPath     = ".gxp/evidence/EV-1.jws"
	packagePath = ".gxp/evidence/OQ-SPEC-001-001"
)

// scanTime is when the tests scan.
func scanTime() time.Time { return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC) }

// equal reports a difference between what was read and what was expected, by their printed forms: nil and empty lists
// are the same to a reader.
func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if g, w := fmt.Sprintf("%v", got), fmt.Sprintf("%v", want); g != w {
		t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

// files is a repository by path. A system context and the expected directories are added when it has none.
type files map[string]string

func (f files) fs() fstest.MapFS {
	fsys := make(fstest.MapFS, len(f)+1)
	if _, ok := f[contextPath]; !ok {
		fsys[contextPath] = &fstest.MapFile{Data: []byte(contextText)}
	}
	for path, text := range f {
		fsys[path] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

// read reads a repository with these options, at the time of the tests.
func read(t *testing.T, fsys fstest.MapFS, options rosie.Options) rosie.Tree {
	t.Helper()
	options.At = scanTime()
	tree, err := rosie.Read(t.Context(), fsys, options)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return tree
}

// unit returns the one unit at path.
func unit(t *testing.T, tree rosie.Tree, path string) domain.File {
	t.Helper()
	for _, f := range tree.Files {
		if f.Path == path {
			return f
		}
	}
	t.Fatalf("%s was not read; faults %v, findings %v", path, tree.Faults, tree.Findings)
	return domain.File{}
}

// artifact returns the first artifact at path.
func artifact(t *testing.T, tree rosie.Tree, path string) domain.Artifact {
	t.Helper()
	f := unit(t, tree, path)
	if f.Rejected != nil {
		t.Fatalf("%s is rejected at %d:%d: %s", path, f.Rejected.Line, f.Rejected.Column, f.Rejected.Message)
	}
	return f.Artifacts[0]
}

// readOne reads a repository of one file and returns its artifact.
func readOne(t *testing.T, path, text string) domain.Artifact {
	t.Helper()
	return artifact(t, read(t, files{path: text}.fs(), rosie.Options{}), path)
}

// rejected reads a repository of one file and returns why it was rejected.
func rejected(t *testing.T, path, text string) domain.Rejection {
	t.Helper()
	f := unit(t, read(t, files{path: text}.fs(), rosie.Options{}), path)
	if f.Rejected == nil {
		t.Fatalf("%s is not rejected: %+v", path, f.Artifacts)
	}
	return *f.Rejected
}

func codes(findings []domain.Finding) []string {
	var all []string
	for _, f := range findings {
		all = append(all, f.Code)
	}
	return all
}

// signer makes evidence with a key of its own.
type signer struct {
	private *ecdsa.PrivateKey
	public  rosie.Key
}

func newSigner(tb testing.TB) signer {
	tb.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	public, err := rosie.ParseKey(publicPEM(tb, &private.PublicKey))
	if err != nil {
		tb.Fatal(err)
	}
	return signer{private: private, public: public}
}

func publicPEM(tb testing.TB, public any) []byte {
	tb.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		tb.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func (s signer) options() rosie.Options { return rosie.Options{Keys: []rosie.Key{s.public}} }

// sign returns the compact JWS of a payload.
func (s signer) sign(tb testing.TB, payload string) string {
	tb.Helper()
	return sign(tb, jose.SigningKey{Algorithm: jose.ES256, Key: s.private}, payload)
}

func sign(tb testing.TB, key jose.SigningKey, payload string) string {
	tb.Helper()
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "sample-key")
	made, err := jose.NewSigner(key, options)
	if err != nil {
		tb.Fatal(err)
	}
	signed, err := made.Sign([]byte(payload))
	if err != nil {
		tb.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		tb.Fatal(err)
	}
	return compact
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// blob is the id that git gives to a file.
func blob(text string) string {
	sum := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(text), text))
	return hex.EncodeToString(sum[:])
}
