package esdbserver

import (
	"context"

	"google.golang.org/grpc/codes"

	"github.com/gxpledger/gxpledger/eventstore/esdbserver/internal/wire"
)

// refuseDelete answers Delete and Tombstone, whose requests are alike.
func (v *service) refuseDelete(_ context.Context, c call) error {
	var request wire.DeleteReq
	if err := c.receive(&request); err != nil {
		return err
	}
	return refuse(codes.PermissionDenied, "the log is append-only: streams are neither deleted nor tombstoned",
		"exception", "access-denied", "stream-name", string(request.GetOptions().GetStreamIdentifier().GetStreamName()))
}
