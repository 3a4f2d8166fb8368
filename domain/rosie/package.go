package rosie

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/gxpledger/gxpledger/domain"
)

// The files that make a directory an evidence package.
const (
	manifestFile  = "manifest.json"
	metadataFile  = "metadata.json"
	signatureFile = "signature.jws" // RFC-001 draft-03
	manifestJWS   = "manifest.jws"  // RFC-001 draft-02
	resultsFile   = "artifacts/test-results.json"
)

// member is one file of a package. Without data when it was too large to read.
type member struct {
	domain.Member
	data []byte
}

func (m *member) unread() bool { return m.SHA256 == "" }

// bundle is an evidence package being read.
type bundle struct {
	*draft
	opts     *Options
	files    map[string]*member
	members  []*member // sorted by path
	manifest value     // a null when there is none
	listed   manifest
}

// parsePackage reads a package directory as one artifact. Its members must be sorted by path.
func parsePackage(path string, members []*member, opts *Options) (domain.Artifact, error) {
	b := &bundle{opts: opts, members: members, files: make(map[string]*member, len(members))}
	for _, m := range members {
		b.files[m.Path] = m
	}
	src := source{path: path, kind: domain.KindEvidencePackage, content: members[0].Content}
	if m := b.files[manifestFile]; m != nil {
		src.content = m.Content
	}
	b.draft = newDraft(src, &opts.Limits)
	b.Digest = packageDigest(members)
	if err := b.readIdentity(); err != nil {
		return domain.Artifact{}, err
	}
	b.listMembers()
	b.Evidence.Checks = []domain.Check{b.checkPresence(), b.checkSignature(), b.checkIntegrity(), b.checkCompleteness()}
	for i := range b.Evidence.Checks {
		b.Evidence.Checks[i].Problems = b.capped(b.Evidence.Checks[i].Problems)
	}
	return b.finish(), nil
}

// readIdentity reads metadata, manifest and test results.
func (b *bundle) readIdentity() error {
	metadata, err := b.json(metadataFile)
	if err != nil {
		return err
	}
	if b.manifest, err = b.json(manifestFile); err != nil {
		return err
	}
	b.listed = readManifest(b.manifest)
	identity := metadata
	if identity.form == formNull {
		identity = b.manifest.without("files")
	}
	b.GxPID = b.bounded("package_id", identity.fieldText("package_id"), maxID)
	if b.GxPID == "" {
		b.note(domain.FindingMissingID, 0, "metadata.json gives no package_id: nothing can refer to the package")
	}
	if identity.form == formMap {
		b.setFields(identity)
	}
	b.Evidence = &domain.Evidence{}
	b.readClaims(identity)
	results, err := b.json(resultsFile)
	if err != nil {
		b.note(domain.FindingMalformed, 0, "the test results cannot be read: %v", err)
	}
	b.Evidence.Tests = b.testTotals(results)
	return nil
}

// json parses a member that must be a JSON object. A member that is absent is a null.
func (b *bundle) json(name string) (value, error) {
	m := b.files[name]
	if m == nil {
		return value{}, nil
	}
	if m.unread() {
		return value{}, &memberError{member: m, malformedError: malformedError{
			text: fmt.Sprintf("%s is %d bytes long, and at most %d are read", name, m.Size, b.limits.File),
		}}
	}
	v, err := parseObject(m.data, b.limits)
	if fault, ok := errors.AsType[*malformedError](err); ok {
		return value{}, &memberError{member: m, malformedError: malformedError{line: fault.line, column: fault.column, text: name + ": " + fault.text}}
	}
	return v, err
}

// memberError is why a package is rejected: one of its files.
type memberError struct {
	malformedError

	member *member
}

// listMembers lists the members in the artifact.
func (b *bundle) listMembers() {
	for _, m := range b.members {
		b.Members = append(b.Members, m.Member)
		if m.unread() {
			b.note(domain.FindingOversized, 0, "%s is %d bytes long: it is listed and not read, since at most %d are", m.Path, m.Size, b.limits.File)
		}
	}
}

// signer is the signature file; nil when there is none. The newer name goes first.
func (b *bundle) signer() *member {
	for _, name := range []string{signatureFile, manifestJWS} {
		if m := b.files[name]; m != nil {
			return m
		}
	}
	return nil
}

func (b *bundle) checkPresence() domain.Check {
	check := domain.Check{Name: domain.CheckPresence, Verdict: domain.VerdictValid}
	for _, name := range []string{manifestFile, metadataFile} {
		if b.files[name] == nil {
			check.Problems = append(check.Problems, newProblem("missing_file", name, "The package has no such file."))
		}
	}
	if b.signer() == nil {
		b.note(domain.FindingUnsignedPackage, 0, "the package has no signature file: expected %s or %s", signatureFile, manifestJWS)
		check.Problems = append(check.Problems, newProblem("missing_file", signatureFile, "The package has no signature file."))
	}
	if len(check.Problems) > 0 {
		check.Verdict = domain.VerdictInvalid
	}
	return check
}

// checkSignature verifies the signature file, and that it signs this manifest.
func (b *bundle) checkSignature() domain.Check {
	check := domain.Check{Name: domain.CheckSignature, Verdict: domain.VerdictNotRun}
	signer := b.signer()
	if signer == nil {
		b.Evidence.Signature = domain.Signature{Verdict: domain.VerdictNotRun, Reason: "The package has no signature file."}
		return check
	}
	b.Evidence.SignerFile = signer.Path
	if signer.unread() {
		b.Evidence.Signature = domain.Signature{Verdict: domain.VerdictUnverifiable, Reason: "The signature file is too large to read."}
		check.Verdict = domain.VerdictUnverifiable
		check.Problems = []domain.Problem{newProblem("oversized_file", signer.Path, b.Evidence.Signature.Reason)}
		return check
	}
	t, err := parseToken(signer.data, b.limits)
	if err != nil {
		b.Evidence.Signature = domain.Signature{Verdict: domain.VerdictInvalid, Reason: "The signature file is no JWS: " + err.Error() + "."}
	} else {
		b.Evidence.Signature = t.verify(b.draft, b.opts)
	}
	check.Verdict = b.Evidence.Signature.Verdict
	if check.Verdict == domain.VerdictInvalid {
		check.Problems = append(check.Problems, newProblem("bad_signature", signer.Path, b.Evidence.Signature.Reason))
	}
	if b.manifest.form == formNull {
		check.Verdict = domain.VerdictNotRun
		return check
	}
	if err == nil && !t.payload.without("iat").without("exp").equal(b.manifest) {
		check.Verdict = domain.VerdictInvalid
		check.Problems = append(check.Problems, newProblem("payload_mismatch", signer.Path, "What is signed is not manifest.json."))
	}
	return check
}

// checkIntegrity compares every listed file with its hash and size.
func (b *bundle) checkIntegrity() domain.Check {
	check := domain.Check{Name: domain.CheckIntegrity, Verdict: domain.VerdictNotRun}
	if b.manifest.form == formNull {
		return check
	}
	check.Verdict, check.Problems = domain.VerdictValid, b.listed.problems
	unread := 0
	for _, l := range b.listed.files {
		m := b.files[l.path]
		switch {
		case m == nil:
			check.Problems = append(check.Problems, newProblem("missing_file", l.path, "The manifest lists it and it is not there."))
		case m.unread():
			unread++
			check.Problems = append(check.Problems, newProblem("oversized_file", l.path, "It is too large to read, so its hash is not known."))
		default:
			check.Problems = append(check.Problems, m.compare(l)...)
		}
	}
	if len(check.Problems) > unread {
		check.Verdict = domain.VerdictInvalid
	} else if unread > 0 {
		check.Verdict = domain.VerdictUnverifiable
	}
	return check
}

func (m *member) compare(l listing) []domain.Problem {
	var problems []domain.Problem
	if l.hash != "" && l.hash != m.SHA256 {
		problems = append(problems, newProblem("hash_mismatch", l.path, "Its SHA-256 is "+m.SHA256+", and the manifest says "+l.hash+"."))
	}
	if l.sizeDiffers(m.Size) {
		problems = append(problems, newProblem("size_mismatch", l.path, fmt.Sprintf("It is %d bytes long, and the manifest says %s.", m.Size, l.size)))
	}
	return problems
}

// checkCompleteness looks for files that the manifest does not list.
func (b *bundle) checkCompleteness() domain.Check {
	check := domain.Check{Name: domain.CheckCompleteness, Verdict: domain.VerdictNotRun}
	if b.manifest.form == formNull {
		return check
	}
	known := []string{manifestFile, manifestJWS, signatureFile}
	for _, l := range b.listed.files {
		known = append(known, l.path)
	}
	slices.Sort(known)
	check.Verdict = domain.VerdictValid
	for _, m := range b.members {
		if _, found := slices.BinarySearch(known, m.Path); !found {
			check.Verdict = domain.VerdictInvalid
			check.Problems = append(check.Problems, newProblem("unlisted_file", m.Path, "It is there and the manifest does not list it."))
		}
	}
	return check
}

// capped bounds a list of problems; the last one then counts the rest.
func (b *bundle) capped(problems []domain.Problem) []domain.Problem {
	limit := b.limits.Findings
	if len(problems) <= limit {
		return problems
	}
	text := fmt.Sprintf("%d more problems are not listed.", len(problems)-limit)
	return append(problems[:limit:limit], newProblem("truncated", "", text))
}

func newProblem(code, path, text string) domain.Problem {
	path, _ = cut(path, maxTitle)
	text, _ = cut(text, maxMessage)
	return domain.Problem{Code: code, Path: path, Text: text}
}

// packageDigest covers the paths, hashes and sizes of all members; of one that was not read, what git names it.
func packageDigest(members []*member) string {
	sum := sha256.New()
	for _, m := range members {
		fmt.Fprintf(sum, "%s\x00%s\x00%d\n", m.Path, cmp.Or(m.SHA256, m.Blob), m.Size)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
