package esdbserver

import (
	"context"

	"github.com/gxpledger/gxpledger/eventstore/esdbserver/internal/wire"
)

// refuseDelete answers Delete and Tombstone, whose requests are alike.
func (v *service) refuseDelete(_ context.Context, c call) error {
	var request wire.DeleteReq
	if err := c.receive(&request); err != nil {
		return err
	}
	return accessDenied("the log is append-only: streams are neither deleted nor tombstoned")
}
