package domain

import "time"

// Event is one fact. The set is closed: a type switch over it names every case.
//
//sumtype:decl
type Event interface{ event() }

// Change says what a scan found an artifact to be, compared with the scan before.
type Change string

// The changes. The values are stored: append only.
const (
	ChangeNew     Change = "new"
	ChangeChanged Change = "changed"
	// ChangeReread is an artifact whose bytes are as before and which was read under another stamp: by a newer reader or
	// with other evidence keys.
	ChangeReread Change = "reread"
)

// RepositoryRegistered makes a repository known. It is recorded with its first scan that completes, in the batch of that, or by
// an administrator, in a batch with its settings.
type RepositoryRegistered struct {
	Repository Repository `json:"repository"`
	// Addresses are those of the first scan: see [Scan]. None: an administrator registered it, or the scan did not record them.
	Addresses []string `json:"addresses,omitempty"`
}

// RepositoryChanged says what a repository is called and how it is scanned from now on. It is a batch of its own, or ends the one
// that registers the repository.
type RepositoryChanged struct {
	Repository Repository         `json:"repository"` // with its new name
	Settings   RepositorySettings `json:"settings"`   // all of them
	Actor      string             `json:"actor"`
	Reason     string             `json:"reason"`
	ChangedAt  time.Time          `json:"changed_at"`
}

// RepositoryRetired ends a repository. Its history stays; further scans fail.
type RepositoryRetired struct {
	Repository Repository `json:"repository"`
	Actor      string     `json:"actor"`
	Reason     string     `json:"reason"`
	RetiredAt  time.Time  `json:"retired_at"`
}

// ArtifactParsed says that an artifact is new or changed. Its Links are resolved within the tree of this scan.
type ArtifactParsed struct {
	Artifact
	// Number is the artifact's own within its repository: 1, 2, 3 ... in order of first appearance, never given to
	// another. An artifact that is removed and added again gets a new one.
	Number int `json:"number"`
	// Version counts the versions of this Number, from 1.
	Version int    `json:"version"`
	Change  Change `json:"change"`
	// Previous is the content hash of the version before; "" for a new artifact.
	Previous string `json:"previous,omitempty"`
	// MovedFrom is where this artifact was in the scan before, under another number (I17). It has the same gxp_id, the same
	// bytes or both.
	MovedFrom *Key `json:"moved_from,omitempty"`
	// Shifted lists the entries of this file that stay what they are at another ordinal, in the order of their new ordinals.
	// All of them shift at once, after what was removed is gone and before entries are recorded at the new ordinals.
	Shifted []Shift `json:"shifted,omitempty"`
	Stamp   string  `json:"stamp"`  // File.Stamp
	Source  string  `json:"source"` // File.Blob: of the whole unit
}

// Shift is an entry of a file that is at another ordinal than in the scan before. Its number stays, and its version unless an
// ArtifactParsed of its own follows.
type Shift struct {
	Number  int `json:"number"`
	Version int `json:"version"` // before this scan
	From    int `json:"from"`    // ordinal before
	To      int `json:"to"`      // ordinal now
	Links   int `json:"links"`   // how many links that version declares
}

// ArtifactRejected says that a file of a known kind could not be parsed. An artifact that the path held before is
// removed in the same scan.
type ArtifactRejected struct {
	Path string `json:"path"`
	Rejection
	Stamp  string `json:"stamp"`
	Source string `json:"source"`
}

// ArtifactRemoved says that what the scan before held is gone.
type ArtifactRemoved struct {
	Key
	Kind     Kind   `json:"kind"`
	GxPID    string `json:"gxp_id,omitempty"`
	Number   int    `json:"number"`
	Version  int    `json:"version"`            // the last one
	Previous string `json:"previous"`           // its content hash
	MovedTo  *Key   `json:"moved_to,omitempty"` // see ArtifactParsed.MovedFrom
}

// RejectionCleared says that a path that was rejected is gone or is an artifact now.
type RejectionCleared struct {
	Path string `json:"path"`
}

// ArtifactRelinked says that links of an artifact which did not change itself resolve differently than in the scan before.
type ArtifactRelinked struct {
	Key
	Kind   Kind   `json:"kind"`
	GxPID  string `json:"gxp_id,omitempty"`
	Number int    `json:"number"`
	// Links is all links of the artifact as they resolve now: which parent it has depends on all of them, and a
	// projection keeps none in mind.
	Links []Link `json:"links"`
	// Changed is the indexes in Links of those that changed, in order, at least one.
	Changed []int `json:"changed"`
}

// Count is the tally of one kind in one scan.
type Count struct {
	Kind      Kind `json:"kind"`
	Found     int  `json:"found"` // New + Changed + Reread + Unchanged
	New       int  `json:"new"`
	Changed   int  `json:"changed"`
	Reread    int  `json:"reread"` // see ChangeReread
	Unchanged int  `json:"unchanged"`
	Removed   int  `json:"removed"`
	Rejected  int  `json:"rejected"` // files that could not be parsed, in this scan or before; not part of Found
}

// ScanCompleted is the last event of every batch that a completed scan appends.
type ScanCompleted struct {
	Head
	Counts []Count    `json:"counts"` // kinds with any, in the order of Kinds
	Links  LinkCounts `json:"links"`
	// RelinkedLinks is how many links of unchanged artifacts lead elsewhere than before: see ArtifactRelinked.
	RelinkedLinks int `json:"relinked_links"`
	// Relinked is used by scans of version 1 alone, which recorded here what is an event of its own since.
	Relinked []ArtifactRelinked `json:"relinked,omitempty"`
	// Ignored is nil when the scan did not record it (version 1).
	Ignored *Ignored `json:"ignored,omitempty"`
	// Coverage is nil when the scan did not record it (version 1).
	Coverage *CoverageChange `json:"coverage,omitempty"`
	// Findings are those of the tree as a whole: duplicates and what was not read. Those of one artifact are in its
	// ArtifactParsed, broken links in its Links.
	Findings []Finding `json:"findings,omitempty"`
	// TreeDigest is the digest of the resulting tree: see State.TreeDigest.
	TreeDigest string `json:"tree_digest"`
}

// LinkCounts is the state of all links of the resulting tree.
type LinkCounts struct {
	Sound     int `json:"sound"`
	Missing   int `json:"missing"`
	WrongKind int `json:"wrong_kind"`
}

// ScanFailed is the only event of a scan that did not complete (I2).
type ScanFailed struct {
	Head
	Code       string      `json:"code"`       // the code of the first violation
	Violations []Violation `json:"violations"` // the first [MaxViolations] of them, at least one
	// Total is how many violations there were; 0 when the scan did not record it.
	Total int `json:"violations_total"`
}

// MaxViolations is how many violations a ScanFailed lists; it counts them all.
const MaxViolations = 1000

// Ignored lists the files below .gxp/ that no artifact was made of.
type Ignored struct {
	Count int      `json:"count"`           // exact
	Paths []string `json:"paths,omitempty"` // the first [MaxIgnored], in order
}

// MaxIgnored is how many ignored files a scan lists; it counts them all.
const MaxIgnored = 1000

// AdminActed records an admin action, in the stream "engine".
type AdminActed struct {
	ID        string            `json:"id"` // UUIDv7 of the admin action
	Action    string            `json:"action"`
	Target    string            `json:"target,omitempty"`
	Arguments map[string]string `json:"arguments,omitempty"`
	Actor     string            `json:"actor"`
	Reason    string            `json:"reason"`
	Outcome   string            `json:"outcome"` // succeeded, failed, cancelled, interrupted
	Detail    string            `json:"detail,omitempty"`
	At        time.Time         `json:"at"`
}

func (RepositoryRegistered) event() {}
func (RepositoryChanged) event()    {}
func (RepositoryRetired) event()    {}
func (ArtifactParsed) event()       {}
func (ArtifactRejected) event()     {}
func (ArtifactRemoved) event()      {}
func (RejectionCleared) event()     {}
func (ArtifactRelinked) event()     {}
func (ScanCompleted) event()        {}
func (ScanFailed) event()           {}
func (AdminActed) event()           {}
