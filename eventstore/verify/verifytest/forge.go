package verifytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/verify"
)

// toldOnce are the members of events that no other place of the log tells: type and path, without indexes.
var toldOnce = regexp.MustCompile(`^(batch \d )?(` + strings.Join([]string{
	`artifact\.parsed\.v2 (title|links\.edge)`, // the contents tell them, as they do evidence but for the key
	`artifact\.parsed\.v2 evidence\.(spec_id|results\..*|signature\.(verdict|alg))`,
	`artifact\.rejected\.v1 (line|column|message)`,
	`scan\.(completed|failed)\.v2 (actor_from|policy\.(unsigned_packages|allow_secrets)|ignored\.paths)`,
	`scan\.failed\.v2 (reader|policy\..*|settings\.keys|repository\.url|violations\.text)`,
	`scan\.completed\.v2 findings\.text`,
	`admin\.acted\.v1 (action|target|outcome)`,
	`repository\.changed\.v1 (repository\.name|settings\..*)`, // until a scan uses them
	`batch 1 scan\.completed\.v2 repository\.url`,             // an address may change from scan to scan
}, "|") + `)$`)

// forgery is one change of a story.
type forgery struct {
	name  string
	batch int // which one is changed; those behind it are left out
	forge func(r *recording)
}

// Run appends a story again and again, each time with one thing changed, to a log that open gives, and demands a finding for each
// change and none elsewhere.
func Run(t *testing.T, open func(t *testing.T) eventstore.Log) {
	t.Helper()
	log := open(t)
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	forgeries := append([]forgery{{name: "nothing", batch: 5, forge: func(*recording) {}}}, changes(t, now)...)
	names := map[eventstore.Position]string{}
	engine := eventstore.NoStream()
	for i, f := range forgeries {
		expected := eventstore.NoStream()
		for j, r := range story(t, i, now)[:f.batch+1] {
			if j == f.batch {
				f.forge(&r)
			}
			at := &expected
			if r.stream == eventstore.EngineStream {
				at = &engine
			}
			done, err := log.Append(t.Context(), r.batch(*at))
			if err != nil {
				t.Fatalf("%s: %v", f.name, err)
			}
			*at = eventstore.AtRevision(done.LastRevision)
			names[done.Last] = f.name
		}
	}
	found := map[string][]string{}
	note := func(fault eventstore.Fault) {
		for _, at := range slices.Sorted(maps.Keys(names)) {
			if at >= fault.Position {
				found[names[at]] = append(found[names[at]], fault.Where+": "+fault.Text)
				return
			}
		}
	}
	if _, err := verify.Run(t.Context(), log, verify.Watch{Fault: note, Warning: note}); err != nil {
		t.Fatal(err)
	}
	for _, f := range forgeries {
		t.Run(f.name, func(t *testing.T) {
			if texts := found[f.name]; (len(texts) > 0) == (f.name == "nothing") {
				t.Errorf("found %q", texts)
			}
		})
	}
}

// batch is r as an append.
func (r *recording) batch(expected eventstore.Expected) eventstore.Batch {
	b := eventstore.Batch{Stream: r.stream, Expected: expected, Meta: r.meta, RecordedAt: r.recordedAt, Contents: r.contents}
	for i, e := range r.events {
		e.ID = eventstore.DeriveEventID(r.scan, i)
		b.Events = append(b.Events, e)
	}
	return b
}

// changes are all that can be changed alone: metadata, which events there are, and each member of the data of each kind of event.
func changes(t *testing.T, now time.Time) []forgery {
	t.Helper()
	var out []forgery
	for batch, r := range story(t, 0, now) {
		title := fmt.Sprintf("batch %d", batch)
		for name, forge := range map[string]func(r *recording){
			"actor":       func(r *recording) { r.meta.Actor = "mallory" },
			"reason":      func(r *recording) { r.meta.Reason = "other" },
			"correlation": func(r *recording) { r.meta.Correlation = id().String() },
			"scan":        func(r *recording) { r.meta.Scan = id().String() },
		} {
			out = append(out, forgery{name: title + " metadata " + name, batch: batch, forge: forge})
		}
		if len(r.events) > 1 {
			for i, e := range r.events {
				out = append(out, forgery{name: fmt.Sprintf("%s without event %d %s", title, i, e.Type), batch: batch, forge: func(r *recording) {
					r.events = slices.Delete(r.events, i, i+1)
				}})
			}
		}
		met := map[string]bool{}
		for i, e := range r.events {
			for _, p := range members(t, e.Data) {
				name := e.Type + " " + p.name()
				if met[name+p.kind] || toldOnce.MatchString(title+" "+name) {
					continue
				}
				met[name+p.kind] = true
				out = append(out, forgery{name: title + " " + name + p.kind, batch: batch, forge: func(r *recording) {
					r.events[i].Data = p.change(t, r.events[i].Data)
				}})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b forgery) int { return strings.Compare(a.name, b.name) })
	return append(out, forgery{name: "recorded a month late", forge: func(r *recording) { r.recordedAt = r.recordedAt.AddDate(0, 1, 0) }})
}

// path leads to a member of JSON that is no object and no array.
type path struct {
	steps []any // string or int
	kind  string
}

func (p path) name() string {
	var names []string
	for _, s := range p.steps {
		if name, ok := s.(string); ok {
			names = append(names, name)
		}
	}
	return strings.Join(names, ".")
}

func decode(t *testing.T, data []byte) any {
	t.Helper()
	var value any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

func members(t *testing.T, data []byte) []path {
	t.Helper()
	var out []path
	var walk func(value any, steps []any)
	walk = func(value any, steps []any) {
		switch v := value.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				walk(v[k], append(slices.Clone(steps), k))
			}
		case []any:
			for i, e := range v {
				walk(e, append(slices.Clone(steps), i))
			}
		case nil:
		default:
			out = append(out, path{steps: steps})
		}
	}
	walk(decode(t, data), nil)
	return out
}

// change returns data with the member at p changed to another that could be there.
func (p path) change(t *testing.T, data []byte) []byte {
	t.Helper()
	root := decode(t, data)
	at := root
	for _, s := range p.steps[:len(p.steps)-1] {
		switch s := s.(type) {
		case string:
			at = at.(map[string]any)[s] //nolint:forcetypeassert,errcheck // members found it
		case int:
			at = at.([]any)[s] //nolint:forcetypeassert,errcheck // members found it
		}
	}
	switch s := p.steps[len(p.steps)-1].(type) {
	case string:
		m := at.(map[string]any) //nolint:forcetypeassert,errcheck // members found it
		m[s] = other(s, m[s])
	case int:
		l := at.([]any) //nolint:forcetypeassert,errcheck // members found it
		l[s] = other("", l[s])
	}
	out, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// other is a value that could be in place of value, and is not it.
func other(name string, value any) any {
	switch v := value.(type) {
	case bool:
		return !v
	case json.Number:
		n, _ := v.Int64()
		return n + 1
	case string:
		if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
			if name == "decided_at" {
				return at.AddDate(0, -1, 0)
			}
			return at.AddDate(0, 1, 0)
		}
		for _, pair := range [][2]string{
			{"requirement", "spec"},
			{"spec", "requirement"},
			{"user_story", "spec"},
			{"evidence_jws", "adr"},
			{"risk", "adr"},
			{"risk_log", "adr"},
			{"new", "changed"},
			{"changed", "reread"},
			{"reread", "changed"},
			{"missing", "wrong_kind"},
			{"flag", "strict"},
			{"update", "reject"},
		} {
			if v == pair[0] {
				return pair[1]
			}
		}
		if v == "" {
			return "x"
		}
		last := "0"
		if strings.HasSuffix(v, last) {
			last = "1"
		}
		return v[:len(v)-1] + last
	}
	return value
}
