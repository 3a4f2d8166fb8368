package verify

import (
	"slices"

	"github.com/gxpledger/gxpledger/domain"
)

// checkOrder compares how a scan that completed says that its commit relates to the one before with what was recorded before. Only git
// knows whether a commit descends from another.
func checkOrder(d *differences, s domain.State, head domain.Head) {
	source := head.Source
	if source.Previous == "" {
		if source.Relation != "" {
			d.add("the commit is %s of another, which is not named", source.Relation)
		}
		return // there was none, or it was not recorded
	}
	want(d, "commit of the scan before", source.Previous, s.PreviousCommit(source))
	want(d, "whether the commit is the same", source.Relation == domain.RelationSame, source.Previous == source.Commit)
	goesOn := source.Relation == domain.RelationSame || source.Relation == domain.RelationDescendant
	allowed := head.Settings != nil && slices.Contains(head.Settings.Overrides, domain.OverrideRewind) && head.Reason != ""
	if !goesOn && !allowed && s.Settings.OnMainLine(source) {
		d.add("history did not continue from commit %s on the main line %q, which nobody allowed for a reason", source.Previous, s.Settings.MainLine)
	}
}
