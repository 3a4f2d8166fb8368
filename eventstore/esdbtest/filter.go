package esdbtest

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// defaultWindow is the window that "count" means, and the number of events of a page (notes 3.4).
const defaultWindow = 32

// filter chooses events of $all (facts: all_filter/*, sub_filter/*).
type filter struct {
	match    func(*entry) bool
	window   int  // how many events a page looks at
	interval int  // how many events are between two checkpoints
	hangs    bool // windows of 0 and 2^32-1 never end
}

// filterOf reads the filter of a request, nil for none.
func filterOf(o *api.ReadReq_Options) (*filter, error) {
	given := o.GetFilter()
	if given == nil {
		return nil, nil //nolint:nilnil // no filter is no error
	}
	f := &filter{window: defaultWindow}
	switch given.GetWindow().(type) {
	case *api.ReadReq_Options_FilterOptions_Max:
		f.window = int(given.GetMax())
	case *api.ReadReq_Options_FilterOptions_Count:
	default:
		return nil, status.Error(codes.InvalidArgument,
			"'None' is not a valid EventStore.Client.Streams.ReadReq+Types+Options+Types+FilterOptions+WindowOneofCase")
	}
	f.hangs = f.window == 0 || f.window == math.MaxUint32
	f.interval = f.window * int(given.GetCheckpointIntervalMultiplier())
	of := func(e *entry) string { return e.stream }
	x := given.GetStreamIdentifier()
	if x == nil {
		of, x = func(e *entry) string { return e.name }, given.GetEventType()
	}
	if x == nil {
		return nil, status.Errorf(codes.InvalidArgument,
			`'{ "max": %d, "checkpointIntervalMultiplier": %d }' is not a valid EventStore.Client.Streams.ReadReq+Types+Options+Types+FilterOptions`,
			given.GetMax(), given.GetCheckpointIntervalMultiplier())
	}
	switch prefixes := x.GetPrefix(); {
	case x.GetRegex() == "" && len(prefixes) > 0:
		f.match = func(e *entry) bool {
			for _, p := range prefixes {
				if startsWith(of(e), p) {
					return true
				}
			}
			return false
		}
	case x.GetRegex() == "" || len(prefixes) > 0: // empty_regex_and_no_prefix, regex_and_prefix
		f.match = func(*entry) bool { return false }
	default:
		expression, err := regexp.Compile(x.GetRegex()) // those of .NET alone are more than a log needs
		if err != nil {
			return nil, errHandler
		}
		f.match = func(e *entry) bool { return expression.MatchString(of(e)) }
	}
	return f, nil
}

// startsWith is String.StartsWith of .NET, which compares characters as people see them: what a combining mark goes on with
// begins with another one (EventFilter.cs of the server compares in this way).
func startsWith(name, prefix string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	next, _ := utf8.DecodeRuneInString(rest)
	return ok && (prefix == "" || !unicode.Is(unicode.M, next))
}

// combination refuses requests that are none (facts: read/count_unset and others).
func combination(o *api.ReadReq_Options) error {
	source, count, chosen := "Stream", "None", "None"
	switch {
	case o.GetStream() != nil:
	case o.GetAll() != nil:
		source = "All"
	default:
		return status.Error(codes.InvalidArgument, "'None' is not a valid EventStore.Client.Streams.ReadReq+Types+Options+StreamOptionOneofCase")
	}
	switch o.GetCountOption().(type) {
	case *api.ReadReq_Options_Count:
		count = "Count"
	case *api.ReadReq_Options_Subscription:
		count = "Subscription"
	}
	switch {
	case o.GetFilter() != nil:
		chosen = "Filter"
	case o.GetNoFilter() != nil:
		chosen = "NoFilter"
	}
	direction := o.GetReadDirection()
	valid := count != "None" && chosen != "None" && direction <= api.ReadReq_Options_Backwards &&
		(source != "Stream" || chosen != "Filter") && (count != "Subscription" || direction != api.ReadReq_Options_Backwards)
	if !valid {
		return status.Errorf(codes.InvalidArgument, "The combination of (%s, %s, %s, %s) is invalid.", source, count, direction, chosen)
	}
	if o.GetUuidOption() == nil { // read/uuid_unset
		return status.Error(codes.InvalidArgument, "")
	}
	return nil
}

// describe names a read for [Requests].
func describe(o *api.ReadReq_Options) string {
	source, kind := "$all", "read"
	if o.GetStream() != nil {
		source = "stream"
	}
	if o.GetSubscription() != nil {
		kind = "subscribe to"
	}
	text := fmt.Sprintf("%s %s", kind, source)
	if o.GetReadDirection() == api.ReadReq_Options_Backwards {
		text += " backwards"
	}
	if o.GetFilter() != nil {
		text += " filtered"
	}
	return text
}
