package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Need is what a client must be allowed to, to have an operation carried out.
type Need string

// The needs.
const (
	NeedNothing   Need = "nothing"   // anybody who reaches the server
	NeedRead      Need = "read"      // what was recorded
	NeedSubscribe Need = "subscribe" // every event, as it is recorded
	NeedScan      Need = "scan"      // have repositories scanned
)

// Parameter is a part of a request that a client chooses.
type Parameter struct {
	Name     string
	About    string // one sentence, for the documentation
	In       Place
	Required bool
	// Most is the largest number that it takes; 0 for a text, or a number without a bound. Whether it is a number is for Run to say.
	Most int64
}

// Place is where a parameter is in a request.
type Place string

// The places.
const (
	InPath  Place = "path"
	InQuery Place = "query"
)

// Operation is something that a client can ask for: one route.
type Operation struct {
	ID      string // in lower case, with hyphens; stable
	Method  string
	Pattern string // of the path, as [http.ServeMux] has it
	Summary string // an imperative sentence without a full stop
	Needs   Need
	// Parameters are all that it takes. Others are refused.
	Parameters []Parameter
	// List is the list in the answer that is paged, and Key the fields of its entries by which they are in order; "" and nil for none.
	List string
	Key  []string
	// Replays reports that an answer replays the log whatever the parameters are; with as_of, each does.
	Replays bool
	// Answer is a value of the type of the answer, for the documentation; nil for bytes of any form.
	Answer any
	// Run answers a request with a JSON document. An error that is no *[ProblemError] is one of the server.
	Run func(ctx context.Context, call Call) ([]byte, error)
	// Bytes answers a request with a file, instead of Run. Its errors are those of Run.
	Bytes func(ctx context.Context, call Call) (File, error)
	// Handle answers a request in another form, instead of Run.
	Handle func(w http.ResponseWriter, r *http.Request, call Call) error
}

// Call is a request for an operation: the parameters that were given, by name.
type Call map[string]string

// paging are the parameters of operations with a list.
func paging() []Parameter {
	return []Parameter{
		{Name: "limit", In: InQuery, About: fmt.Sprintf("Largest number of entries, from 1 to %d; %d by default.", maxPage, defaultPage)},
		{Name: "after", In: InQuery, About: "The `next` of the page before."},
	}
}

// all are the parameters of o, with those of paging.
func (o *Operation) all() []Parameter {
	if o.List == "" {
		return o.Parameters
	}
	return append(slices.Clone(o.Parameters), paging()...)
}

var wildcard = regexp.MustCompile(`\{([a-z_]+)(\.\.\.)?\}`)

// maxValue is the number of bytes that the value of a parameter may have.
const maxValue = 2000

// read returns the parameters of a request, or what is wrong with them.
func (o *Operation) read(r *http.Request) (Call, error) {
	given, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, NewProblem(http.StatusBadRequest, CodeBadRequest, "the query of the address cannot be read: want NAME=VALUE, joined by &, with other characters percent-encoded")
	}
	known := o.all()
	call := Call{}
	for name, values := range given {
		at := slices.IndexFunc(known, func(p Parameter) bool { return p.Name == name && p.In == InQuery })
		switch {
		case at < 0:
			return nil, NewProblem(http.StatusBadRequest, CodeBadRequest, fmt.Sprintf("there is no parameter %.100q here: want %s", name, o.takes()))
		case len(values) > 1:
			return nil, NewProblem(http.StatusBadRequest, CodeBadRequest, fmt.Sprintf("the parameter %s is given %d times: give it once", name, len(values)))
		}
		call[name] = values[0]
	}
	for _, match := range wildcard.FindAllStringSubmatch(o.Pattern, -1) {
		call[match[1]] = r.PathValue(match[1])
	}
	for _, p := range known {
		value, ok := call[p.Name]
		switch {
		case !ok && p.Required:
			return nil, NewProblem(http.StatusBadRequest, CodeBadRequest, "the parameter "+p.Name+" is missing")
		case ok && (strings.TrimSpace(value) == "" || len(value) > maxValue || !utf8.ValidString(value) || strings.ContainsRune(value, 0)):
			return nil, NewProblem(http.StatusBadRequest, CodeBadRequest,
				fmt.Sprintf("the parameter %s is empty, longer than %d bytes, or no UTF-8 text", p.Name, maxValue))
		case ok && p.exceeded(value):
			return nil, NewProblem(http.StatusBadRequest, CodeBadRequest, fmt.Sprintf("the parameter %s is above %d", p.Name, p.Most))
		}
	}
	return call, nil
}

// exceeded reports whether a value is a number above Most.
func (p *Parameter) exceeded(value string) bool {
	n, err := strconv.ParseInt(value, 0, 64) // as pflag reads it
	return p.Most > 0 && (errors.Is(err, strconv.ErrRange) || err == nil && n > p.Most)
}

// takes lists the parameters of the query.
func (o *Operation) takes() string {
	var names []string
	for _, p := range o.all() {
		if p.In == InQuery {
			names = append(names, p.Name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
