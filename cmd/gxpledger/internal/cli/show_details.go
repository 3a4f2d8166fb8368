package cli

import (
	"context"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/projections/query"
)

// detailsDocument is the output of show KIND ID --json: several artifacts when they claim the same id.
type detailsDocument struct {
	headDocument
	Artifacts []query.Detail `json:"artifacts"`
}

func (o *showOptions) showDetails(ctx context.Context, v *view) error {
	details, err := v.Details(ctx, o.subject.group, o.filter)
	if err != nil {
		return err
	}
	return v.answer(detailsDocument{v.head(), details}, func(screen *render.Screen) {
		for i, d := range details {
			if i > 0 {
				screen.Blank()
			}
			render.Detail(screen, d)
		}
	})
}
