package verify

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// The judgements in this file are pure. They compare what a batch says twice: its events with each other, with their
// metadata, and with the state that the events before them fold to. What only one place says, such as a title, the stored
// contents alone can contradict.

// shapeFault says why an event cannot be where it is in its batch and in its stream (I1, I2), "" when it can.
func shapeFault(r eventstore.Record, event domain.Event) string {
	alone, last, engine := true, true, false
	switch event.(type) {
	case domain.ScanCompleted:
		alone = false
	case domain.ScanFailed, domain.RepositoryRetired:
	case domain.RepositoryChanged:
		alone = r.Meta.Index == 0
	case domain.AdminActed, domain.KeyTrusted, domain.KeyRevoked, domain.RelayAdded, domain.RelayRemoved, domain.ScanAttemptFailed:
		engine = true
	case domain.RepositoryRegistered:
		alone, last = false, false
		if r.Meta.Index != 0 {
			return fmt.Sprintf("%s is event %d of its batch, and it is the first of a stream", r.Type, r.Meta.Index)
		}
	case domain.ArtifactParsed, domain.ArtifactRejected, domain.ArtifactRemoved, domain.ArtifactRelinked, domain.RejectionCleared:
		alone, last = false, false
	}
	switch {
	case engine != (r.Stream == eventstore.EngineStream):
		return fmt.Sprintf("%s is in stream %q, where no such event is appended", r.Type, r.Stream)
	case alone && r.Meta.Size != 1:
		return fmt.Sprintf("%s is in a batch of %d events, and it is a batch of its own", r.Type, r.Meta.Size)
	case last && !r.EndsBatch():
		return fmt.Sprintf("%s is event %d of a batch of %d, and it is the last", r.Type, r.Meta.Index, r.Meta.Size)
	case !last && r.EndsBatch():
		return fmt.Sprintf("the batch ends with %s and without the outcome of its scan: its end was cut off", r.Type)
	}
	return ""
}

// batchCheck is what was met of the batch that is open, for its last event to be compared with.
type batchCheck struct {
	registered *domain.Repository
	counts     map[domain.Kind]domain.Count // Found and Rejected are those of the tree, and not counted here
	relinked   int
	units      map[string]unitRead
	signers    map[string]bool // fingerprints of the keys that verified evidence
	// revokedSigners are the fingerprints of keys that would have, were they not revoked.
	revokedSigners map[string]bool
	from, to       map[domain.Key]domain.Key // moves, by the new key as artifacts tell them, and by the old one as removals do
}

// unitRead is how a unit was read.
type unitRead struct {
	kind          domain.Kind
	stamp, source string
}

func newBatchCheck() *batchCheck {
	return &batchCheck{
		counts: map[domain.Kind]domain.Count{}, units: map[string]unitRead{}, signers: map[string]bool{}, revokedSigners: map[string]bool{},
		from: map[domain.Key]domain.Key{}, to: map[domain.Key]domain.Key{},
	}
}

// differences collects what contradicts.
type differences []string

func (d *differences) add(format string, args ...any) { *d = append(*d, fmt.Sprintf(format, args...)) }

// want compares one thing that is told twice.
func want[T comparable](d *differences, what string, got, other T) {
	if got != other {
		d.add("%s is %s, want %s", what, show(got), show(other))
	}
}

func show(value any) string {
	switch v := reflect.ValueOf(value); v.Kind() { //nolint:exhaustive // what is no text is shown as it is
	case reflect.String:
		return fmt.Sprintf("%q", v.String())
	default:
		return fmt.Sprintf("%+v", value)
	}
}

// event compares an event with its metadata and with s, the state before it, and notes it for the last one.
func (b *batchCheck) event(s domain.State, r eventstore.Record, event domain.Event) []string {
	var d differences
	want(&d, "correlation of the metadata", r.Meta.Correlation, r.Meta.Scan)
	switch e := event.(type) {
	case domain.RepositoryRegistered:
		b.registered = &e.Repository
		want(&d, "repository", eventstore.RepositoryStream(e.Repository.ID), r.Stream)
		if s.Registered {
			d.add("the repository was registered before")
		}
	case domain.RepositoryChanged:
		b.changed(&d, s, r, &e)
	case domain.RepositoryRetired:
		want(&d, "repository", e.Repository, s.Repository)
		want(&d, "actor", e.Actor, r.Meta.Actor)
		want(&d, "reason", e.Reason, r.Meta.Reason)
		if s.Retired {
			d.add("the repository was retired before")
		}
	case domain.ArtifactParsed:
		b.parsed(&d, s, &e)
	case domain.ArtifactRejected:
		b.rejected(&d, s, &e)
	case domain.ArtifactRemoved:
		b.removed(&d, s, &e)
	case domain.RejectionCleared:
		if u := s.Units[e.Path]; u == nil || u.Rejected == nil {
			d.add("%q was not rejected before", e.Path)
		}
	case domain.ArtifactRelinked:
		b.relink(&d, s, &e)
	case domain.ScanCompleted:
		checkHead(&d, s, r, e.Head)
		checkSettings(&d, s, r, e.Head)
		checkOrder(&d, s, e.Head)
		if s.Retired {
			d.add("a scan completed of a repository that was retired")
		}
	case domain.ScanFailed:
		checkHead(&d, s, r, e.Head)
		checkViolations(&d, &e)
	case domain.AdminActed:
		want(&d, "id", e.ID, r.Meta.Scan)
		want(&d, "actor", e.Actor, r.Meta.Actor)
		want(&d, "reason", e.Reason, r.Meta.Reason)
	case domain.ScanAttemptFailed:
		want(&d, "scan", e.Scan, r.Meta.Scan)
		want(&d, "actor", e.Actor, r.Meta.Actor)
		want(&d, "reason", e.Reason, r.Meta.Reason)
		if len(e.Violations) == 0 {
			d.add("a scan failed without a violation")
		} else {
			want(&d, "code", e.Code, e.Violations[0].Code)
		}
	case domain.KeyTrusted, domain.KeyRevoked: // see checkKeys
	case domain.RelayAdded, domain.RelayRemoved: // see checkRelays
	}
	return d
}

// changed compares a change of a repository with its record and with the state before it.
func (b *batchCheck) changed(d *differences, s domain.State, r eventstore.Record, e *domain.RepositoryChanged) {
	want(d, "actor", e.Actor, r.Meta.Actor)
	want(d, "reason", e.Reason, r.Meta.Reason)
	if s.Retired {
		d.add("a repository changed that was retired")
	}
	if b.registered != nil {
		want(d, "repository", e.Repository, *b.registered)
		want(d, "size of the batch that registers a repository", r.Meta.Size, 2)
		return
	}
	want(d, "id of the repository", e.Repository.ID, s.Repository.ID)
	want(d, "address of the repository", e.Repository.URL, s.Repository.URL)
	if e.Repository.Name == s.Repository.Name && e.Settings.Equal(s.Settings) {
		d.add("the change of the repository changes nothing")
	}
}

// checkHead compares what a scan says of itself with its record and with the state before it.
func checkHead(d *differences, s domain.State, r eventstore.Record, head domain.Head) {
	if head.Number != s.Scans+1 {
		d.add("the scan has number %d, the one before it has %d", head.Number, s.Scans)
	}
	if head.Scan != r.Meta.Scan || eventstore.RepositoryStream(head.Repository.ID) != r.Stream {
		d.add("scan %s of repository %s is in the batch of scan %s of stream %q", head.Scan, head.Repository.ID, r.Meta.Scan, r.Stream)
	}
	want(d, "actor", head.Actor, r.Meta.Actor)
	want(d, "reason", head.Reason, r.Meta.Reason)
	if s.Registered {
		want(d, "name of the repository", head.Repository.Name, s.Repository.Name)
	}
	if head.Settings != nil && !slices.IsSorted(head.Settings.Keys) {
		d.add("the keys in force are not in order")
	}
}

// checkSettings compares by what a scan says that it was read and judged with what was recorded before it.
func checkSettings(d *differences, s domain.State, r eventstore.Record, head domain.Head) {
	if head.Settings == nil || head.Settings.Revision == nil {
		return // they were not recorded, or the repository was not known
	}
	want(d, "revision of the settings", *head.Settings.Revision, int64(r.Revision)-int64(r.Meta.Index)-1) //nolint:gosec // of events that were read
	given := func(name string) bool { return slices.Contains(head.Settings.Overrides, name) }
	recorded := s.Settings.Policy()
	if !given("links") {
		want(d, "policy for links", head.Policy.Links, recorded.Links)
	}
	if !given("duplicates") {
		want(d, "policy for duplicates", head.Policy.Duplicates, recorded.Duplicates)
	}
	if !given("unsigned_packages") {
		want(d, "policy for unsigned packages", head.Policy.Unsigned, recorded.Unsigned)
	}
	if !given("limits") && !maps.Equal(head.Settings.Limits, s.Settings.Limits) {
		d.add("limits are %v, and %v are recorded for the repository", head.Settings.Limits, s.Settings.Limits)
	}
}

func checkViolations(d *differences, e *domain.ScanFailed) {
	n := len(e.Violations)
	if n == 0 {
		d.add("a scan failed without a violation")
		return
	}
	want(d, "code", e.Code, e.Violations[0].Code)
	if e.Total != 0 && min(e.Total, domain.MaxViolations) != n { // 0: it was not recorded
		d.add("%d violations are listed of %d", n, e.Total)
	}
}

// parsed compares an artifact with the one that the state has at its key.
func (b *batchCheck) parsed(d *differences, s domain.State, e *domain.ArtifactParsed) {
	held := s.Artifact(e.Key)
	number, version, previous, change := s.Numbers+1, 1, "", domain.ChangeNew
	if held != nil {
		number, version, previous, change = held.Number, held.Version+1, held.SHA256, domain.ChangeChanged
		if held.Digest == e.Digest {
			change = domain.ChangeReread
		}
	}
	want(d, "number", e.Number, number)
	want(d, "version", e.Version, version)
	want(d, "previous hash", e.Previous, previous)
	want(d, "change", e.Change, change)
	if u := s.Units[e.Path]; u != nil && u.Rejected != nil {
		d.add("%q is still rejected", e.Path)
	}
	checkShifts(d, s, e)
	if e.MovedFrom != nil {
		b.from[e.Key] = *e.MovedFrom
		want(d, "change of an artifact that moved", e.Change, domain.ChangeNew)
	}
	if len(e.Members) == 0 {
		checkSource(d, e.Content, e.Source)
		if e.Ordinal == 0 {
			want(d, "digest", e.Digest, e.Content.SHA256)
		}
	}
	if e.Evidence != nil && e.Evidence.Signature.Fingerprint != "" {
		if e.Evidence.Signature.Verdict == domain.VerdictRevoked {
			b.revokedSigners[e.Evidence.Signature.Fingerprint] = true
		} else {
			b.signers[e.Evidence.Signature.Fingerprint] = true
		}
	}
	b.read(d, e.Path, unitRead{e.Kind, e.Stamp, e.Source}, e.Ordinal)
	c := b.counts[e.Kind]
	switch e.Change {
	case domain.ChangeNew:
		c.New++
	case domain.ChangeChanged:
		c.Changed++
	case domain.ChangeReread:
		c.Reread++
	}
	b.counts[e.Kind] = c
}

// checkShifts compares the entries that shift with those of the state.
func checkShifts(d *differences, s domain.State, e *domain.ArtifactParsed) {
	if len(e.Shifted) > 0 && e.Ordinal != 0 {
		d.add("entries shift in an artifact that is none of the file's")
	}
	after := 0
	for _, x := range e.Shifted {
		held := s.Artifact(domain.Key{Path: e.Path, Ordinal: x.From})
		if held == nil || held.Number != x.Number || held.Version != x.Version || len(held.Links) != x.Links {
			d.add("entry %d shifts to %d as number %d, version %d with %d links, which is not what the tree holds there", x.From, x.To, x.Number, x.Version, x.Links)
		}
		if x.To <= after || x.From == x.To {
			d.add("entry %d shifts to %d, which is out of order", x.From, x.To)
		}
		after = x.To
	}
}

// checkSource compares the bytes of a file with the name of the unit that it is.
func checkSource(d *differences, c domain.Content, source string) {
	if c.SHA256 != "" && c.Blob != "" { // it was read
		want(d, "source", source, c.Blob)
	}
}

// read notes how a unit was read: alike for all that it holds.
func (b *batchCheck) read(d *differences, path string, u unitRead, ordinal int) {
	if ordinal == 0 {
		b.units[path] = u
		return
	}
	whole, met := b.units[path]
	if !met {
		d.add("an entry of %q is recorded, and the file is not", path)
		return
	}
	want(d, "stamp", u.stamp, whole.stamp)
	want(d, "source", u.source, whole.source)
}

func (b *batchCheck) rejected(d *differences, s domain.State, e *domain.ArtifactRejected) {
	if u := s.Units[e.Path]; u != nil && len(u.Artifacts) > 0 {
		d.add("%q is rejected, and the tree still holds artifacts of it", e.Path)
	}
	checkSource(d, e.Content, e.Source)
	b.read(d, e.Path, unitRead{e.Kind, e.Stamp, e.Source}, 0)
}

func (b *batchCheck) removed(d *differences, s domain.State, e *domain.ArtifactRemoved) {
	c := b.counts[e.Kind]
	c.Removed++
	b.counts[e.Kind] = c
	if e.MovedTo != nil {
		b.to[e.Key] = *e.MovedTo
	}
	held := s.Artifact(e.Key)
	if held == nil {
		d.add("%s is removed, and the tree does not hold it", e.Key)
		return
	}
	checkKnown(d, held, e.Kind, e.GxPID, e.Number)
	want(d, "version", e.Version, held.Version)
	want(d, "previous hash", e.Previous, held.SHA256)
}

func checkKnown(d *differences, held *domain.Known, kind domain.Kind, id string, number int) {
	want(d, "kind", kind, held.Kind)
	want(d, "gxp_id", id, held.GxPID)
	want(d, "number", number, held.Number)
}

// relink compares the links of an artifact that did not change itself with those that the state has.
func (b *batchCheck) relink(d *differences, s domain.State, e *domain.ArtifactRelinked) {
	b.relinked += len(e.Changed)
	held := s.Artifact(e.Key)
	if held == nil {
		d.add("links of %s changed, and the tree does not hold it", e.Key)
		return
	}
	checkKnown(d, held, e.Kind, e.GxPID, e.Number)
	var changed []int
	for i, l := range e.Links {
		if i >= len(held.Links) || l.Edge != held.Links[i].Edge || l.Target != held.Links[i].Target {
			d.add("link %d is not the one that the artifact declares", i)
			return
		}
		if !domain.SameLink(l, held.Links[i]) {
			changed = append(changed, i)
		}
	}
	want(d, "number of links", len(e.Links), len(held.Links))
	if !slices.Equal(changed, e.Changed) || len(changed) == 0 {
		d.add("the links %v are recorded as changed, and those that changed are %v", e.Changed, changed)
	}
}

// completed compares the outcome of a scan with its batch, with tree, what the state is after it, and with before, what the
// completed scan before left.
func (b *batchCheck) completed(e *domain.ScanCompleted, after domain.State, tree, before domain.TreeSummary) []string {
	var d differences
	if b.registered != nil {
		want(&d, "repository", e.Repository, *b.registered)
	} else if !after.Registered {
		d.add("the repository was never registered")
	}
	b.checkReading(&d, e)
	b.checkMoves(&d)
	if counts := b.tally(tree); !slices.Equal(e.Counts, counts) {
		d.add("counts are %+v, the events add up to %+v", e.Counts, counts)
	}
	want(&d, "count of links", e.Links, tree.Links)
	for _, r := range e.Relinked { // version 1
		b.relinked += len(r.Changed)
	}
	want(&d, "count of links that changed", e.RelinkedLinks, b.relinked)
	if len(tree.Misresolved) > 0 {
		d.add("a link of %s does not lead where the tree has its target, nor do those of %d other artifacts", tree.Misresolved[0], len(tree.Misresolved)-1)
	}
	checkCoverage(&d, e.Coverage, tree, before)
	checkIgnored(&d, e.Ignored)
	checkPolicy(&d, e, tree)
	return d
}

// checkReading compares how the scan says that it read with how its units were read.
func (b *batchCheck) checkReading(d *differences, e *domain.ScanCompleted) {
	version, _, _ := strings.Cut(e.Reader, "+")
	for _, path := range slices.Sorted(maps.Keys(b.units)) {
		u := b.units[path]
		reader := version
		if u.kind == domain.KindEvidencePackage || u.kind.Info().Form == domain.FormJWS {
			reader = e.Reader // with the keys, which bear on these alone
		}
		if u.stamp != reader && !strings.HasPrefix(u.stamp, reader+"+") {
			d.add("%q was read under the stamp %q, and the scan under %q", path, u.stamp, e.Reader)
		}
	}
	if e.Settings == nil {
		return // version 1
	}
	for _, key := range slices.Sorted(maps.Keys(b.signers)) {
		if !slices.Contains(e.Settings.Keys, key) {
			d.add("evidence was verified with the key %s, which was not in force", key)
		}
	}
}

// checkMoves compares where artifacts came from with where removals went.
func (b *batchCheck) checkMoves(d *differences) {
	for _, to := range slices.SortedFunc(maps.Keys(b.from), domain.Key.Compare) {
		if from := b.from[to]; b.to[from] != to {
			d.add("%s moved from %s, whose removal does not say so", to, from)
		}
	}
	for _, from := range slices.SortedFunc(maps.Keys(b.to), domain.Key.Compare) {
		if to := b.to[from]; b.from[to] != from {
			d.add("%s moved to %s, which does not say so", from, to)
		}
	}
}

// tally adds up the counts of a scan, in the order of kinds.
func (b *batchCheck) tally(tree domain.TreeSummary) []domain.Count {
	var out []domain.Count
	for _, k := range domain.Kinds() {
		c := b.counts[k]
		c.Kind, c.Found, c.Rejected = k, tree.Found[k], tree.Rejected[k]
		c.Unchanged = c.Found - c.New - c.Changed - c.Reread
		if c != (domain.Count{Kind: k}) {
			out = append(out, c)
		}
	}
	return out
}

func checkCoverage(d *differences, recorded *domain.CoverageChange, tree, before domain.TreeSummary) {
	if recorded == nil {
		return // version 1
	}
	c := tree.CoverageSince(before)
	want(d, "coverage before", recorded.Before, c.Before)
	want(d, "coverage after", recorded.After, c.After)
	if !slices.Equal(recorded.NewGaps, c.NewGaps) || recorded.NewGapsTotal != c.NewGapsTotal {
		d.add("new gaps are %+v of %d, want %+v of %d", recorded.NewGaps, recorded.NewGapsTotal, c.NewGaps, c.NewGapsTotal)
	}
}

func checkIgnored(d *differences, ignored *domain.Ignored) {
	if ignored == nil {
		return // version 1
	}
	if len(ignored.Paths) != min(ignored.Count, domain.MaxIgnored) || !slices.IsSorted(ignored.Paths) {
		d.add("%d ignored files are listed of %d, or not in order", len(ignored.Paths), ignored.Count)
	}
}

// checkPolicy compares the tree with what its policy lets pass.
func checkPolicy(d *differences, e *domain.ScanCompleted, tree domain.TreeSummary) {
	if broken := tree.Links.Missing + tree.Links.WrongKind; broken > 0 && e.Policy.Links != domain.LinksFlag {
		d.add("the policy for links is %q, and the tree has %d broken links", e.Policy.Links, broken)
	}
	if e.Policy.Duplicates != domain.DuplicatesUpdate && len(tree.Duplicates) > 0 {
		d.add("the policy for duplicates is %q, and %q has the id of another", e.Policy.Duplicates, tree.Duplicates[0])
		return
	}
	var found []string
	for _, f := range e.Findings {
		if f.Code == domain.FindingDuplicate {
			found = append(found, f.Path)
		}
	}
	if !slices.Equal(found, tree.Duplicates) {
		d.add("duplicates are found at %q, want %q", found, tree.Duplicates)
	}
}
