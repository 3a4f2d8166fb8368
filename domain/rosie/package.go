package rosie

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"

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
	dropped  []dropped // sorted by path
	manifest value     // a null when there is none
	listed   manifest
}

// parsePackage reads a package directory as one artifact. Its members must be sorted by path.
func parsePackage(path string, members []*member, unread []dropped, opts *Options) (domain.Artifact, error) {
	b := &bundle{opts: opts, members: members, dropped: unread, files: make(map[string]*member, len(members))}
	for _, m := range members {
		b.files[m.Path] = m
	}
	src := source{path: path, kind: domain.KindEvidencePackage, content: members[0].Content}
	if m := b.files[manifestFile]; m != nil {
		src.content = m.Content
	}
	b.draft = newDraft(src, &opts.Limits)
	b.Digest = packageDigest(members, unread)
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
	if !b.setID("package_id", identity.fieldText("package_id")) {
		b.note(domain.FindingMissingID, 0, "metadata.json gives no package_id: nothing can refer to the package")
	}
	if identity.form == formMap {
		b.setFields(identity)
	}
	b.Evidence = &domain.Evidence{}
	b.readClaims(identity)
	b.linkAll(domain.EdgeTracedRequirement, b.manifest.field(string(domain.EdgeTracedRequirement)))
	b.takeResults(
		resultsSource{file: metadataFile, value: metadata, envelope: true},
		resultsSource{file: manifestFile, value: b.manifest, envelope: true},
		b.results(),
	)
	return nil
}

// results is the file of test results. What is no JSON object is nothing that can be counted.
func (b *bundle) results() resultsSource {
	s := resultsSource{file: resultsFile}
	m := b.files[resultsFile]
	switch {
	case m == nil:
		return s
	case m.unread():
		s.failure = fmt.Sprintf("it is %d bytes long, and at most %d are read", m.Size, b.limits.File)
		return s
	}
	v, err := parseJSON(m.data, b.limits)
	switch fault, ok := errors.AsType[*malformedError](err); {
	case ok:
		s.failure = fmt.Sprintf("line %d, column %d: %s", fault.line, fault.column, fault.text)
	case err != nil:
		s.failure = err.Error()
	default:
		s.value, s.object = v, true
	}
	return s
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
		if b.opts.Unsigned == domain.UnsignedInvalid {
			check.Problems = append(check.Problems, newProblem("missing_file", signatureFile, "The package has no signature file."))
		}
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
		if b.opts.Unsigned != domain.UnsignedInvalid {
			check.Verdict = domain.VerdictUnsigned
		}
		b.Evidence.Signature = domain.Signature{Verdict: check.Verdict, Reason: "The package has no signature file."}
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
		b.Evidence.Signature = domain.Signature{Verdict: domain.VerdictInvalid, Reason: "The signature file is not a JWS: " + err.Error() + "."}
	} else {
		b.Evidence.Signature, b.Evidence.Payload = t.verify(b.draft, b.opts), t.sum
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
			check.Problems = append(check.Problems, newProblem("missing_file", l.path, "The manifest lists it, but the package does not have it."))
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
	known := []string{manifestFile}
	if signer := b.signer(); signer != nil {
		known = append(known, signer.Path) // not the other name of it: what is not used, nobody vouches for
	}
	for _, l := range b.listed.files {
		known = append(known, l.path)
	}
	slices.Sort(known)
	check.Verdict = domain.VerdictValid
	for _, m := range b.members {
		if _, found := slices.BinarySearch(known, m.Path); !found {
			check.Verdict = domain.VerdictInvalid
			check.Problems = append(check.Problems, newProblem("unlisted_file", m.Path, "The package has it, but the manifest does not list it."))
		}
	}
	for _, d := range b.dropped {
		check.Verdict = domain.VerdictInvalid
		check.Problems = append(check.Problems, newProblem("unlisted_file", d.path, "It cannot be a file of the package: "+d.text+"."))
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

// packageDigest covers the paths, hashes and sizes of all members; of one that was not read, what git names it; and the
// entries that cannot be members.
func packageDigest(members []*member, unread []dropped) string {
	sum := sha256.New()
	for _, m := range members {
		fmt.Fprintf(sum, "%s\x00%s\x00%d\n", m.Path, cmp.Or(m.SHA256, m.Blob), m.Size)
	}
	for _, d := range unread {
		fmt.Fprintf(sum, "%q\x00%s\n", d.path, d.code)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// listing is one file as a manifest lists it.
type listing struct {
	path string
	hash string // lower-case hexadecimal SHA-256; "" when the manifest gives none that can be used
	size string // decimal; "" when the manifest gives none
}

// manifest is the list of files that a package claims to hold.
type manifest struct {
	files    []listing
	problems []domain.Problem // of the list itself
}

var sha256Hex = regexp.MustCompile(`\A[0-9a-f]{64}\z`)

// readManifest takes the list of files from a manifest: an array of objects, or an object from path to hash.
func readManifest(root value) manifest {
	var m manifest
	files := root.field("files")
	switch files.form {
	case formList:
		for _, item := range files.items {
			m.add(item.fieldText("path"), item)
		}
	case formMap:
		for i, path := range files.keys {
			m.add(path, files.items[i])
		}
	case formNull, formText, formNumber, formBool:
		m.problem("no_file_list", "", "The manifest has no list of files.")
	}
	m.checkDoubles()
	return m
}

// add takes one entry: the hash alone as text, or an object with it.
func (m *manifest) add(path string, item value) {
	l := listing{path: path}
	hash := item.text
	if item.form == formMap {
		hash = item.fieldText("sha256", "hash")
		l.size = item.fieldText("size_bytes", "size")
	}
	hash = strings.ToLower(strings.TrimPrefix(hash, "sha256:"))
	switch {
	case !memberPath(path):
		m.problem("bad_path", path, "The path leads out of the package or is not plain.")
		return
	case sha256Hex.MatchString(hash):
		l.hash = hash
	default:
		m.problem("bad_hash", path, "The manifest gives no SHA-256 for this file.")
	}
	m.files = append(m.files, l)
}

// memberPath reports whether a path of a manifest can be one of a file inside the package.
func memberPath(path string) bool {
	return fs.ValidPath(path) && path != "." && oddName(path) == "" && len(path) <= maxPath
}

// checkDoubles finds paths that are listed twice. Paths that only some systems hold for one are two (I17): git has both.
func (m *manifest) checkDoubles() {
	listed := make(map[string]bool, len(m.files))
	for _, l := range m.files {
		if listed[l.path] {
			m.problem("duplicate_path", l.path, "The manifest lists this path twice.")
		}
		listed[l.path] = true
	}
}

func (m *manifest) problem(code, path, text string) {
	m.problems = append(m.problems, newProblem(code, path, text))
}

// sizeDiffers reports whether the manifest states a size, and another one.
func (l listing) sizeDiffers(size int64) bool {
	if l.size == "" {
		return false
	}
	stated, err := strconv.ParseInt(l.size, 10, 64)
	return err != nil || stated != size
}
