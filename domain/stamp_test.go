package domain_test

import (
	"testing"

	"github.com/gxpledger/gxpledger/domain"
)

func TestAReaderIsNewerByItsVersionAlone(t *testing.T) {
	t.Parallel()
	for stamps, want := range map[[2]string]bool{
		{"rosie/1", "rosie/2"}:                     true,
		{"rosie/1+keys:3f0a", "rosie/2"}:           true,
		{"rosie/1", "rosie/2+keys:3f0a+limits:10"}: true,
		{"rosie/9", "rosie/10"}:                    true,
		{"rosie/2", "rosie/2+keys:3f0a"}:           false,
		{"rosie/2", "rosie/2"}:                     false,
		{"rosie/2", "rosie/1"}:                     false,
		{"", "rosie/2"}:                            false,
		{"rosie/1", ""}:                            false,
		{"", ""}:                                   false,
		{"other/1", "rosie/2"}:                     false,
		{"rosie/1", "rosie/two"}:                   false,
		{"rosie/-1", "rosie/2"}:                    false,
	} {
		if got := domain.NewerReader(stamps[0], stamps[1]); got != want {
			t.Errorf("%q to %q is newer: %v, want %v", stamps[0], stamps[1], got, want)
		}
	}
}
