package projections_test

import (
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/builds"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
)

func TestAStatusShowsThePace(t *testing.T) {
	t.Parallel()
	begin := projectionstest.Epoch()
	b := projections.Build{
		Build:      builds.Build{Since: builds.Since{At: begin, Position: 100}},
		Checkpoint: projections.Checkpoint{Position: 300}, UpdatedAt: begin.Add(2 * time.Second),
	}
	if b.Pace() != 100 || b.Left(1300) != 10*time.Second || b.Left(300) != 0 {
		t.Errorf("pace is %v, left %v", b.Pace(), b.Left(1300))
	}
	if pace := (projections.Build{Checkpoint: b.Checkpoint, UpdatedAt: begin}).Pace(); pace != 0 {
		t.Errorf("pace is %v, want none", pace)
	}
}
