package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/api"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/projections/query"
)

// reading is a command that the HTTP server answers with: its flags are the parameters of the query, and its document the answer. What
// people and programs are told is made by the same code.
type reading struct {
	id, pattern string
	command     func(*app) *cobra.Command
	fixed       []string // arguments before those
	// arguments are the parameters that become the arguments of the command, in order; those that are not in the pattern are required.
	arguments []api.Parameter
	list      string   // see [api.Operation]
	key       []string // see [api.Operation]
	answer    any
	replays   bool // see [api.Operation]
}

// takes reports whether an argument has the name of a parameter.
func (r *reading) takes(parameter string) bool {
	return slices.ContainsFunc(r.arguments, func(p api.Parameter) bool { return p.Name == parameter })
}

// readings is the table of what can be read over HTTP.
func readings() []reading {
	const inQuery = api.InQuery
	repositoryKey := []string{"repository_id"}
	return []reading{
		{id: "repositories", pattern: "/v1/repositories", command: newRepositoryList, list: "repositories", key: repositoryKey, answer: repositoriesDocument{}},
		{
			id: "repository", pattern: "/v1/repositories/{repository}", command: newRepositoryShow, answer: repositoryDocument{},
			arguments: []api.Parameter{{Name: "repository", In: api.InPath, About: "Name, former name, address or id of the repository."}},
		},
		{id: "scans", pattern: "/v1/scans", command: newScans, list: "scans", key: []string{"position"}, answer: scansDocument{}},
		{
			id: "artifacts", pattern: "/v1/artifacts/{kind}", command: newShow, list: "artifacts", key: []string{"repository_id", "path", "ordinal"},
			answer: artifactsDocument{}, arguments: []api.Parameter{{Name: "kind", In: api.InPath, About: "Kind of the artifacts: " + groupNames() + "."}},
		},
		{id: "artifact", pattern: "/v1/artifacts/{kind}/{id}", command: newShow, answer: detailsDocument{}, arguments: []api.Parameter{
			{Name: "kind", In: api.InPath, About: "Kind of the artifact."},
			{Name: "id", In: api.InPath, About: "A gxp_id, a path, or path#number for an entry of a risk log, percent-encoded."},
		}},
		{id: "links", pattern: "/v1/links", command: newShow, fixed: []string{"links"}, answer: linksDocument{}},
		{id: "findings", pattern: "/v1/findings", command: newShow, fixed: []string{"findings"}, answer: findingsDocument{}},
		{id: "ignored", pattern: "/v1/ignored", command: newShow, fixed: []string{"ignored"}, answer: ignoredDocument{}},
		{id: "rejected", pattern: "/v1/rejected", command: newShow, fixed: []string{"rejected"}, answer: rejectedDocument{}},
		{
			id: "history", pattern: "/v1/history/{id}", command: newHistory, answer: historyDocument{},
			arguments: []api.Parameter{{Name: "id", In: api.InPath, About: "A gxp_id, a path, or path#number for an entry of a risk log, percent-encoded."}},
		},
		{id: "diff", pattern: "/v1/diff", command: newDiff, answer: diffDocument{}, replays: true, arguments: []api.Parameter{
			{Name: "from", In: inQuery, About: "A point in time, as for as_of."}, {Name: "to", In: inQuery, About: "Another point in time."},
		}},
		{id: "matrix", pattern: "/v1/matrix", command: newMatrix, answer: render.Matrix{}},
		{id: "gaps", pattern: "/v1/gaps", command: newGaps, answer: gapsDocument{}},
		{
			id: "search", pattern: "/v1/search", command: newSearch, answer: searchDocument{},
			arguments: []api.Parameter{{Name: "text", In: inQuery, About: "The text to find, on one line; case is ignored."}},
		},
		{id: "audit", pattern: "/v1/audit", command: newAudit, list: "audit", key: []string{"sequence"}, answer: auditDocument{}},
		{
			id: "content", pattern: "/v1/contents/{file}", command: newContent, answer: contentDocument{},
			arguments: []api.Parameter{{Name: "file", In: api.InPath, About: "The SHA-256 of a file or its first six digits or more, or its path, percent-encoded."}},
		},
		{id: "keys", pattern: "/v1/keys", command: newKeysList, answer: keysDocument{}},
	}
}

// groupNames are the artifacts that can be asked for as a list of artifacts.
func groupNames() string {
	var names []string
	for _, s := range subjects() {
		if s.group != "" {
			names = append(names, s.name)
		}
	}
	return strings.Join(names, ", ")
}

// notOverHTTP are flags that are for files and terminals.
func notOverHTTP() []string { return []string{"format", "output", "raw", "help", "fail-on"} }

// mostMatches is how many entries an answer without pages lists. The others are counted.
const mostMatches = 10_000

// operations are the readings as operations. Each request gets a command of its own, over the ledger of a.
func (a *app) operations() []api.Operation {
	var all []api.Operation
	for _, reading := range readings() {
		described := reading.command(newApp(a.system))
		o := api.Operation{
			ID: reading.id, Method: http.MethodGet, Pattern: reading.pattern, Summary: described.Short, Needs: api.NeedRead,
			List: reading.list, Key: reading.key, Answer: reading.answer, Replays: reading.replays,
		}
		for _, p := range reading.arguments {
			p.Required = true
			o.Parameters = append(o.Parameters, p)
		}
		described.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if slices.Contains(notOverHTTP(), f.Name) || reading.list != "" && f.Name == "limit" || reading.takes(parameterName(f.Name)) {
				return
			}
			p := api.Parameter{Name: parameterName(f.Name), In: api.InQuery, About: parameterAbout(f)}
			if f.Name == "limit" {
				p.Most = mostMatches
				p.About += fmt.Sprintf(" At most %d.", p.Most)
			}
			o.Parameters = append(o.Parameters, p)
		})
		o.Run = func(ctx context.Context, call api.Call) ([]byte, error) { return a.runReading(ctx, reading, call) }
		all = append(all, o)
	}
	return all
}

func parameterName(flag string) string { return strings.ReplaceAll(flag, "-", "_") }

// parameterAbout is the help of a flag as a sentence about a parameter.
func parameterAbout(f *pflag.Flag) string {
	text, _, _ := strings.Cut(f.Usage, " (environment:")
	text = inTermsOfHTTP(strings.ReplaceAll(text, "`", ""))
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

var flagInText = regexp.MustCompile(`(?:the flag |with the flag )?--([a-z][a-z-]*)`)

// inTermsOfHTTP turns the flags that a sentence names into parameters.
func inTermsOfHTTP(text string) string {
	return flagInText.ReplaceAllStringFunc(text, func(match string) string {
		return "the parameter " + parameterName(flagInText.FindStringSubmatch(match)[1])
	})
}

// runReading answers one request with the document of a command.
func (a *app) runReading(ctx context.Context, reading reading, call api.Call) ([]byte, error) {
	var out bytes.Buffer
	system := a.system
	system.Stdin, system.Stdout, system.Stderr = nil, &out, io.Discard
	one := newApp(system)
	one.json, one.ledger, one.settings, one.wait = true, a.ledger, a.settings, a.wait
	command := reading.command(one)
	if word, ok := call["kind"]; ok {
		if found, err := findSubject(word); err != nil || found.group == "" {
			return nil, api.NewProblem(http.StatusNotFound, api.CodeNotFound, fmt.Sprintf("there is no kind of artifacts %.100q: want one of %s", word, groupNames()))
		}
	}
	var flags []string
	arguments := slices.Clone(reading.fixed)
	for _, p := range reading.arguments {
		arguments = append(arguments, call[p.Name])
	}
	for name, value := range call {
		// The repository of an argument is also the one whose scans a point in time counts.
		isFlag := command.LocalFlags().Lookup(strings.ReplaceAll(name, "_", "-")) != nil && (!reading.takes(name) || name == repositorySetting)
		if flag := strings.ReplaceAll(name, "_", "-"); isFlag && (reading.list == "" || name != "limit") {
			flags = append(flags, "--"+flag+"="+value)
		}
	}
	slices.Sort(flags)
	command.SetArgs(append(append(flags, "--"), arguments...))
	command.SilenceErrors, command.SilenceUsage = true, true
	command.SetOut(io.Discard)
	command.SetErr(io.Discard)
	err := command.ExecuteContext(ctx)
	if fault, ok := errors.AsType[*faultError](err); err == nil || ok && fault.code == exitFindings {
		return out.Bytes(), nil
	}
	return nil, one.problem(ctx, err)
}

// againAfter is when it is worth to ask a log again that did not answer.
const againAfter = 5 * time.Second

// problem is the error of a command as HTTP has it. What a client cannot do anything about is no part of it.
func (a *app) problem(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	code, text := a.explain(ctx, err)
	text = inTermsOfHTTP(a.redact(text))
	var invalid *valueError
	switch known := causeOf(err); {
	case errors.Is(err, query.ErrUnknown), errors.Is(err, query.ErrEmpty), errors.As(err, new(*gxpledger.NoContentError)):
		return api.NewProblem(http.StatusNotFound, api.CodeNotFound, text)
	case code == exitUsage, errors.As(err, &invalid), isFlagError(err):
		return api.NewProblem(http.StatusBadRequest, api.CodeBadRequest, text)
	case known != nil && (known.code == "log_busy" || known.code == "tables_busy" || known.code == "too_many_connections"):
		unavailable := api.NewProblem(http.StatusServiceUnavailable, api.CodeUnavailable, "the log or the tables do not answer: ask again later")
		unavailable.RetryAfter, unavailable.Cause = againAfter, err
		return unavailable
	case known == nil && errors.As(err, new(*faultError)): // a sentence of the command itself
		return api.NewProblem(http.StatusUnprocessableEntity, api.CodeFailed, text)
	}
	return err
}

// isFlagError reports whether pflag refused the value of a flag.
func isFlagError(err error) bool {
	return errors.As(err, new(*pflag.InvalidValueError)) || errors.As(err, new(*pflag.NotExistError)) ||
		errors.As(err, new(*pflag.ValueRequiredError)) || errors.As(err, new(*pflag.InvalidSyntaxError))
}
