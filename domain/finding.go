package domain

// Finding is something that a reviewer should know and that did not stop the scan.
type Finding struct {
	Code string `json:"code"`           // see the Finding... constants
	Path string `json:"path,omitempty"` // where; empty for the artifact that carries the finding
	Line int    `json:"line,omitempty"` // from 1; 0 when the finding has no line
	Text string `json:"text"`           // one sentence: what is there, what was expected
}

// The codes of findings. The values are stored: append only.
const (
	FindingDuplicate       = "duplicate"        // a gxp_id that another path of the same kind wins
	FindingRepeated        = "repeated"         // a gxp_id that an earlier entry of the same file has
	FindingSymlink         = "symlink"          // a symbolic link, not followed
	FindingSubmodule       = "submodule"        // a submodule, not entered
	FindingOddPath         = "odd_path"         // a path that some system cannot hold, or that hides something
	FindingOversized       = "oversized"        // a file above the limit: listed, not read
	FindingMissingDir      = "missing_dir"      // requirements/, user_stories/ or specs/ is absent
	FindingMissingID       = "missing_id"       // the kind has a gxp_id and the file gives none
	FindingMissingField    = "missing_field"    // a field that the kind requires is absent
	FindingNoFrontMatter   = "no_front_matter"  // the kind has front matter and the file none
	FindingMixedKeys       = "mixed_keys"       // snake_case and camelCase in one front matter
	FindingListItem        = "list_item"        // a list item that is a map, because of a stray ": "
	FindingUnsignedPackage = "unsigned_package" // a package without a signature file
	FindingExpired         = "expired"          // a signed exp that had passed at the scan
	FindingMalformed       = "malformed"        // a part that could not be read; the rest was
	FindingContradiction   = "contradiction"    // two statements of one record that cannot both hold; the worse one counts
	FindingBadLink         = "bad_link"         // a link field that is no id and no list of ids
	FindingCut             = "cut"              // a text above the limit, kept up to there; the file's bytes are whole
	FindingTruncated       = "truncated"        // more findings of this kind than are listed
	FindingIDTooLong       = "id_too_long"      // a gxp_id above the limit: the artifact is kept without an id
	FindingOddID           = "odd_id"           // an id or the target of a link with blanks or characters that do not show
	FindingNearMiss        = "near_miss"        // a file that is not read and whose name is nearly one that is
	FindingWentBack        = "went_back"        // the commit is an ancestor of the one that was scanned before
	FindingWentSideways    = "went_sideways"    // the commit does not descend from the one that was scanned before
	FindingOrderUnknown    = "order_unknown"    // it is unknown whether it does, on the main line
)
