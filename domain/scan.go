package domain

import "time"

// RepositoryID is the canonical text of a UUID: 36 lower-case characters.
type RepositoryID string

// Repository names a registered source of artifacts.
type Repository struct {
	ID   RepositoryID `json:"id"`
	Name string       `json:"name"` // the operator's name for it: unique in a log
	URL  string       `json:"url"`  // where it was read from, without credentials
}

// Person is an identity that git claims. Nothing verifies it.
type Person struct {
	Name  string    `json:"name"`
	Email string    `json:"email"`
	When  time.Time `json:"when"` // in the zone that git recorded
}

// Source is the revision that was read. Everything in it but Worktree and Dirty is a claim of the repository.
type Source struct {
	Ref       string  `json:"ref,omitempty"`    // as the operator gave it: HEAD, a branch, a tag, a commit
	Commit    string  `json:"commit,omitempty"` // "" for a work tree without a commit
	Tree      string  `json:"tree,omitempty"`   // id of the tree of the whole commit
	Author    *Person `json:"author,omitempty"`
	Committer *Person `json:"committer,omitempty"`
	Message   string  `json:"message,omitempty"`  // at most 4 KiB, cut at a rune
	Worktree  bool    `json:"worktree,omitempty"` // files as they lay on disk, not a revision
	Dirty     bool    `json:"dirty,omitempty"`    // the work tree differed from Commit below .gxp/
	// DirtyUnknown says why it is unknown whether the work tree differed; Dirty is true then. "" when it is known.
	DirtyUnknown string `json:"dirty_unknown,omitempty"`
	// Relation is how Commit relates to Previous; "" when nobody looked, or when there is none.
	Relation Relation `json:"relation,omitempty"`
	// Previous is the commit of the completed scan before: on the main line, of the one before on the main line. "" for none.
	Previous string `json:"previous_commit,omitempty"`
	// FullRef is the ref that was read, in full, such as refs/heads/main where Ref is HEAD, and refs/heads/main~1 for what was found from there;
	// refs/~, or refs/tags/~, is one whose name is not stored. "" for a commit that was found by none.
	FullRef string `json:"full_ref,omitempty"`
}

// Relation is how the commit of a scan relates to the commit of a completed scan before it, as far as the repository that was read
// holds its history.
type Relation string

// The relations. The values are stored: append only.
const (
	RelationSame       Relation = "same"
	RelationDescendant Relation = "descendant" // history went on
	RelationAncestor   Relation = "ancestor"   // the scan went back
	RelationUnrelated  Relation = "unrelated"  // neither is reached from the other in the repository
	RelationUnknown    Relation = "unknown"    // it could not be found out
)

// ActorSource says where the name of an actor comes from.
type ActorSource string

// The sources. The values are stored: append only.
const (
	ActorClaimed       ActorSource = "claimed"       // what the operating system or the command line says; nothing verified it
	ActorAuthenticated ActorSource = "authenticated" // a server checked a credential
)

// Settings says by which settings a scan was read and judged, beside its [Policy].
type Settings struct {
	// Keys are the fingerprints of the evidence keys in force, sorted; none: no signature could be verified.
	Keys []string `json:"keys"`
	// Limits are those limits of the reader that are not the defaults, by name.
	Limits map[string]int64 `json:"limits,omitempty"`
	// Revision is the revision of the repository's stream up to which recorded settings were used; nil when none were.
	Revision *int64 `json:"revision,omitempty"`
	// KeysRevision is the revision of the last event about a key in the stream "engine" that was used; nil when there was none.
	KeysRevision *int64 `json:"keys_revision,omitempty"`
	// Overrides are the names of the settings that were given for this scan alone, sorted.
	Overrides []string `json:"overrides,omitempty"`
}

// Head is what every scan says of itself, whether it completed or failed.
type Head struct {
	Scan       string     `json:"scan"`   // UUIDv7, canonical text
	Number     int        `json:"number"` // of this repository's scans, completed or failed, from 1
	Repository Repository `json:"repository"`
	Source     Source     `json:"source"`
	Actor      string     `json:"actor"` // who ran it, as ActorFrom says
	// ActorFrom says where Actor comes from; "" when the scan did not record it (version 1).
	ActorFrom ActorSource `json:"actor_from,omitempty"`
	Reason    string      `json:"reason,omitempty"` // why, as the actor gave it
	Policy    Policy      `json:"policy"`
	// Settings is nil when the scan did not record them (version 1), or failed before they were known.
	Settings  *Settings `json:"settings,omitempty"`
	Reader    string    `json:"reader"` // the stamp of evidence: see Scan.Files
	StartedAt time.Time `json:"started_at"`
	DecidedAt time.Time `json:"decided_at"` // engine clock when the outcome was decided, just before the append
}

// Scan is the whole input of a decision: one revision, read completely.
type Scan struct {
	// Head without Number, which Decide assigns.
	Head
	// Files is every file or package that is an artifact or should have been, in any order, each path once.
	Files []File
	// Findings are those that belong to no artifact: skipped entries, missing directories. They are recorded again in
	// every scan, since they say what that scan did not read.
	Findings []Finding
	// Ignored is the path of every file below .gxp/ that belongs to no artifact and to no rejected file, sorted (I18).
	Ignored []string
	// Addresses are where the revision was read from, as [CanonicalAddress] gives them: first the one that says which repository it
	// is, that of its origin where it has one, and then the path of a clone. None: nobody knows.
	Addresses []string
	// RevokedKeys are the fingerprints of keys that were revoked: what they verified need not be verified any more.
	RevokedKeys []string
	// WithoutKnownKeys lets a scan make evidence unverifiable because keys are missing that verified it before.
	WithoutKnownKeys bool
	// RelationUnknown says why Source.Relation is unknown; "" where it is not.
	RelationUnknown string
	// Faults are what the reader found that no policy lets pass, such as a missing system context. Any fault fails
	// the scan.
	Faults []Violation
}

// File is one unit of the tree: a file, or an evidence package directory.
type File struct {
	Path string
	// Blob changes when, and only when, the bytes do: the git blob id or, for a package, a digest over its members. Of a
	// file on disk that is too large to read, the size stands for the bytes.
	Blob string
	// Stamp says how the unit was read: the reader's version and, for evidence, the keys. A unit with the same Blob and
	// Stamp as in the State need not be read again.
	Stamp string
	// Unchanged claims just that; Artifacts and Rejected are then empty. Decide refuses the claim with ErrStale when
	// the State holds no such unit.
	Unchanged bool
	Artifacts []Artifact // sorted by ordinal
	Rejected  *Rejection // set when the unit could not be parsed; Artifacts is then empty
}

// Rejection says why a file of a known kind is not an artifact. Its bytes are kept all the same.
type Rejection struct {
	Kind    Kind    `json:"kind"`
	Line    int     `json:"line,omitempty"`   // from 1; 0 when unknown
	Column  int     `json:"column,omitempty"` // from 1, in characters; 0 when unknown
	Message string  `json:"message"`          // one sentence: what is wrong, what was expected
	Content Content `json:"content"`          // of the bytes as they were; zero SHA256 when the file was too large to read
}

// Violation is one reason why a scan failed.
type Violation struct {
	Code   string `json:"code"` // see the Violation... constants
	Path   string `json:"path,omitempty"`
	GxPID  string `json:"gxp_id,omitempty"`
	Edge   Edge   `json:"edge,omitempty"`
	Target string `json:"target,omitempty"`
	Text   string `json:"text"` // one sentence: what is there, what was expected, what to do
}

// The codes of violations and of failures. The values are stored: append only.
const (
	ViolationMissingParent = "missing_parent"         // a link to an id that nothing has
	ViolationWrongKind     = "wrong_kind"             // a link to an id at another level
	ViolationDuplicate     = "duplicate_id"           // a gxp_id claimed by two paths of one kind
	ViolationNoGxP         = "no_gxp_directory"       // the tree has no .gxp/
	ViolationNoContext     = "no_system_context"      // .gxp/system_context.md is absent
	ViolationLimit         = "limit_exceeded"         // a limit of the whole scan
	ViolationRetired       = "repository_retired"     // the repository was retired
	ViolationUnreadable    = "source_unreadable"      // the repository or revision could not be read
	ViolationConflict      = "too_many_conflicts"     // other scans of the repository kept winning
	ViolationUnavailable   = "log_unavailable"        // the log could not be reached in the attempts allowed
	ViolationCancelled     = "cancelled"              // the operator stopped the scan
	ViolationTooLarge      = "batch_too_large"        // the log refuses a batch of this size
	ViolationInternal      = "internal_inconsistency" // a defect of the engine
	ViolationAddress       = "other_address"          // the repository is known by other addresses
	ViolationKeys          = "evidence_keys_missing"  // a key is missing that verified evidence before
	ViolationSecret        = "secret_found"           // a file holds what looks like a key or token
	ViolationOrder         = "out_of_order"           // the commit is not known to descend from the one before on the main line
)
