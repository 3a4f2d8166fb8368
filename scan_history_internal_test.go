package gxpledger

import (
	"errors"
	"fmt"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
	"github.com/gxpledger/gxpledger/internal/gitrepo"
)

// Only what is wrong with one commit lets a history go on: what would fail every commit after it must not be skipped.
func TestWhatIsAboutOneCommit(t *testing.T) {
	t.Parallel()
	refused := func(codes ...string) error {
		var all []domain.Violation
		for _, code := range codes {
			all = append(all, domain.Violation{Code: code})
		}
		return fmt.Errorf("cannot decide: %w", &domain.RefusedError{Violations: all})
	}
	source := func(cause error) error { return fmt.Errorf("%w: %w", recorder.ErrSource, cause) }
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"a broken link":           {refused(domain.ViolationMissingParent), true},
		"a file with a secret":    {refused(domain.ViolationSecret, domain.ViolationDuplicate), true},
		"no .gxp":                 {refused(domain.ViolationNoGxP), true},
		"a retired repository":    {refused(domain.ViolationMissingParent, domain.ViolationRetired), false},
		"another address":         {refused(domain.ViolationAddress), false},
		"a missing key":           {refused(domain.ViolationMissingParent, domain.ViolationKeys), false},
		"the order of history":    {refused(domain.ViolationOrder), false},
		"a corrupt object":        {source(&gitrepo.Error{Kind: gitrepo.ErrCorrupt}), true},
		"a missing object":        {source(&gitrepo.Error{Kind: gitrepo.ErrMissing}), true},
		"no permission":           {source(&gitrepo.Error{Kind: gitrepo.ErrDenied}), false},
		"keys of a silent log":    {source(fmt.Errorf("keys: %w", eventstore.ErrTransient)), false},
		"keys of a corrupt log":   {source(fmt.Errorf("keys: %w", eventstore.ErrCorrupt)), false},
		"an object and a log":     {source(fmt.Errorf("%w: %w", &gitrepo.Error{Kind: gitrepo.ErrCorrupt}, eventstore.ErrTransient)), false},
		"a full disk":             {source(errors.New("no space left on device")), false},
		"a batch of another kind": {eventstore.ErrTooLarge, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := ScanResult{Outcome: recorder.Outcome{Failed: &domain.ScanFailed{}, Position: 1}}
			if got := ofCommit(result, test.err); got != test.want {
				t.Errorf("%t, want %t", got, test.want)
			}
			if result.Position = 0; ofCommit(result, test.err) {
				t.Error("a history goes on after what was not recorded")
			}
		})
	}
}
