package cli

import (
	"errors"

	"github.com/gxpledger/gxpledger/projections"
)

// noteBehind says on standard error that tables are behind the log, since who reads them must know.
func (a *app) noteBehind(err error) {
	if errors.Is(err, projections.ErrPaused) {
		a.notes().Line("the tables are behind the log: %s", err.Error())
		return
	}
	a.notes().Line("%s: see gxpledger projections status", oneLine(err.Error()))
}
