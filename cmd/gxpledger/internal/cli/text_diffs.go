package cli

import (
	"context"
	"errors"
	"slices"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/eventstore"
)

// textDiffs compares the contents that changes name, one pair at a time, and returns the diffs in the order of the changes.
// Beyond a number of files, and where the log lacks a content, it says so instead.
func (v *view) textDiffs(ctx context.Context, changes ...[]trace.Change) (render.TextDiffs, []render.TextDiff, error) {
	found, list := render.TextDiffs{}, []render.TextDiff{}
	for _, c := range slices.Concat(changes...) {
		pair, ok := render.ChangedContent(c)
		if _, known := found[pair]; !ok || known {
			continue
		}
		diff, err := v.textDiff(ctx, pair, len(list))
		if err != nil {
			return nil, nil, err
		}
		found[pair], list = diff, append(list, diff)
	}
	return found, list, nil
}

func (v *view) textDiff(ctx context.Context, pair [2]string, compared int) (render.TextDiff, error) {
	if compared >= render.MaxDiffs {
		return render.NoTextDiff(pair[0], pair[1], "not compared line by line: too many files changed"), nil
	}
	var contents [2][]byte
	for i, sha := range pair {
		data, err := v.ContentOf(ctx, sha)
		if errors.Is(err, eventstore.ErrNotFound) {
			return render.NoTextDiff(pair[0], pair[1], "not compared line by line: the log does not hold the content "+sha+": run gxpledger verify"), nil
		}
		if err != nil {
			return render.TextDiff{}, err
		}
		contents[i] = data
	}
	return render.NewTextDiff(pair[0], pair[1], contents[0], contents[1]), nil
}
