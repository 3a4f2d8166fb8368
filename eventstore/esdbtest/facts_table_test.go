package esdbtest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// record notes how the cluster answered in a situation.
type record func(name, answer string)

// Each situation of the table is answered as the real server answered it. The table has the essential facts; where the file that
// they are from is there, the table is compared with it, too.
func TestAnswersAreThoseOfTheRealServer(t *testing.T) {
	t.Parallel()
	facts := readFacts(t)
	var mu sync.Mutex
	asked, ran := map[string]bool{}, 0
	groups := map[string]func(t *testing.T, record record){
		"appends": appendFacts, "states": stateFacts, "deletions": deletionFacts, "repetitions": repeatFacts, "malformed": malformedFacts,
		"metadata": metaFacts, "names": nameFacts, "sizes": sizeFacts, "streams": streamFacts, "requests": requestFacts,
		"all": allFacts, "counts": countFacts, "subscriptions to streams": streamSubFacts, "subscriptions": allSubFacts, "checkpoints": checkpointFacts,
		"headers": headerFacts, "a new server": freshFacts, "restarts": restartFacts, "followers": followerFacts, "no leader": noLeaderFacts,
		"loss of a leader": lossFacts, "users": userFacts, "batches": batchFacts,
	}
	t.Cleanup(func() {
		for name := range facts {
			if !asked[name] && ran == len(groups) {
				t.Errorf("%s is in the table, and was not asked", name)
			}
		}
	})
	for name, ask := range groups {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mu.Lock()
			ran++
			mu.Unlock()
			ask(t, func(name, answer string) {
				mu.Lock()
				defer mu.Unlock()
				asked[name] = true
				answer = strings.TrimSpace(answer)
				if want, ok := facts[name]; !ok || !same(want, answer) {
					t.Errorf("%s:\n is %s\nnot %s", name, answer, want)
				}
			})
		})
	}
}

// omission is how the facts leave messages out, with how many there were.
var omission = regexp.MustCompile(`(?:, )?\.\.\.\(\d+\)(?:, )?`)

// same reports whether an answer is that of the table, whatever comes where the table leaves messages out.
func same(want, answer string) bool {
	parts := omission.Split(want, -1)
	if len(parts) == 1 {
		return want == answer
	}
	for i, part := range parts {
		at := strings.Index(answer, part)
		switch {
		case at < 0 || i == 0 && at > 0, i == len(parts)-1 && !strings.HasSuffix(answer, part):
			return false
		}
		answer = answer[at+len(part):]
	}
	return true
}

const table = "testdata/facts.txt"

// readFacts reads the table: names and what EventStoreDB 24.6.0 answered, each line status, text, [trailers], messages and fields.
func readFacts(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	facts := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, answer, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		facts[name] = answer
	}
	return facts
}

const noBatches = "batches are not sent by package kurrent; what is asked of them is what the cluster has for those who send some"

// unasked are the facts that the table leaves out, and why. A pattern is that of package path, but * goes over a slash at its end.
var unasked = []struct{ pattern, reason string }{
	{"_about", "it is no fact"},
	{"psub/*", "no persistent subscription is made"},
	{"*/psub_create/*", "no persistent subscription is made"},
	{"operations/*", "the server is not administered"},
	{"secure/merge_indexes/*", "the server is not administered"},
	{"projections/*", "no projection of the server is made"},
	{"users/*", "users of the server are not looked at"},
	{"monitoring/*", "the server is not monitored"},
	{"unknown/*", "calls that a server does not know are not made"},
	{"features", "what the server can do is not asked"},
	{"deadline/*", "calls have no deadline: they are cancelled"},
	{"append_after_options_only_open", "it is the client that cancels"},
	{"append/cancelled", "what becomes of an append that is cancelled is chance"},
	{"append/concurrent_same", "which of several equal appends times out is chance: TestARepetitionOfWhatIsNotReadableIsDropped has the one"},
	{"atomic/reader", "it did not meet the race, which TestAllEndsInsideABatch has"},
	{"batch/deadline_*", noBatches},
	{"batch/never_final*", noBatches},
	{"batch/half_close/*", noBatches},
	{"batch/empty_[cst]*", noBatches},
	{"batch/*_correlation_id", noBatches},
	{"batch/*_event_id", noBatches},
	{"batch/no_type*", noBatches},
	{"batch/no_content_type", noBatches},
	{"batch/no_options", noBatches},
	{"batch/no_stream_identifier", noBatches},
	{"batch/repeat_no_stream", noBatches},
	{"lethal/*", "it ends the process of a server: here it fails the test (TestAnAppendThatEndsAServerFailsTheTest)"},
	{"all/excludes", "no persistent subscription is made"},
	{"all/forth/links", "links are not resolved"},
	{"read/links/resolved", "links are not resolved"},
	{"read/links/resolved_back", "links are not resolved"},
	{"sub/stream/links/*", "links are not resolved"},
	{"all_filter/regex_lookahead", "expressions of .NET alone are not sent"},
	{"all_filter/regex_backreference", "expressions of .NET alone are not sent"},
	{"sub/slow_consumer", "when a consumer is too slow is chance: Cluster.FallBehind lets it happen"},
	{"sub_filter/from_start", "where the checkpoints are depends on the 20,000 events that were there"},
	{"no_leader/read_all/plain", "that node had nothing to show yet"},
}

// reasonOf returns why a fact is not asked, "" if it must be.
func reasonOf(name string) (pattern string) {
	for _, u := range unasked {
		prefix, all := strings.CutSuffix(u.pattern, "/*")
		if ok, err := path.Match(u.pattern, name); err == nil && ok || all && strings.HasPrefix(name, prefix+"/") {
			return u.pattern
		}
	}
	return ""
}

// The table has what the file says of every fact that is not left out for a reason. UPDATE_GOLDEN=1 writes it.
func TestTheTableIsThatOfTheFile(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("GXPLEDGER_ESDB_FACTS")
	if folder == "" {
		folder = "../../../shared/esdb"
	}
	text, err := os.ReadFile(filepath.Join(folder, "facts-24.6.0.json"))
	if err != nil {
		if os.Getenv("GXPLEDGER_ESDB_FACTS") != "" {
			t.Fatalf("GXPLEDGER_ESDB_FACTS names no facts: %v", err)
		}
		t.Skipf("the facts of the real server are not there: %v; set GXPLEDGER_ESDB_FACTS to their folder", err)
	}
	var file map[string]json.RawMessage
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	used, want := map[string]bool{}, map[string]string{}
	for name, raw := range file {
		if pattern := reasonOf(name); pattern != "" {
			used[pattern] = true
			continue
		}
		if want[name], err = line(raw); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, u := range unasked {
		if !used[u.pattern] || u.reason == "" {
			t.Errorf("%s is left out for %q, and nothing is it", u.pattern, u.reason)
		}
	}
	if os.Getenv("UPDATE_GOLDEN") == "1" {
		var b strings.Builder
		for _, name := range slices.Sorted(maps.Keys(want)) {
			fmt.Fprintf(&b, "%s\t%s\n", name, want[name])
		}
		if err := os.WriteFile(table, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := readFacts(t)
	for name := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%s is neither in the table nor left out for a reason", name)
		}
	}
	for name, answer := range got {
		if answer != want[name] {
			t.Errorf("%s:\nin the file %s\nin the table %s", name, want[name], answer)
		}
	}
}

// fact is a situation of the file.
type fact struct {
	Code string                     `json:"code"`
	Msg  string                     `json:"msg"`
	Tr   map[string]string          `json:"tr"`
	Msgs []string                   `json:"msgs"`
	F    map[string]json.RawMessage `json:"f"`
}

// Fields come in this order, and before all others.
var firstFields = []string{"rev", "pos", "cur", "exp", "cur_old", "exp_old", "stream_then"}

// line puts a fact as the table has it.
func line(raw json.RawMessage) (string, error) {
	var f fact
	if err := json.Unmarshal(raw, &f); err != nil {
		return "", err
	}
	answer := strings.TrimSpace(f.Code + " " + f.Msg)
	for _, key := range slices.Sorted(maps.Keys(f.Tr)) {
		answer += fmt.Sprintf(" [%s=%s]", key, f.Tr[key])
	}
	if len(f.Msgs) > 0 {
		answer += " " + strings.Join(f.Msgs, ", ")
	}
	shown := map[string]any{}
	for key, value := range f.F {
		switch {
		case key == "once_after_ms" || key == "seconds": // the cluster answers at once
		case bytes.HasPrefix(value, []byte(`"of the beginning or after`)): // with numbers that are of that server alone
			shown[key] = "of the beginning or after"
		default:
			shown[key] = value
		}
	}
	return strings.TrimSpace(answer + fields(shown)), nil
}

// fields puts fields as the table has them.
func fields(of map[string]any) (text string) {
	of = maps.Clone(of)
	show := func(key string) {
		value, err := json.Marshal(of[key])
		if err != nil {
			panic(err) // of a test's own
		}
		var plain string
		if json.Unmarshal(value, &plain) == nil {
			value = []byte(plain)
		}
		text += fmt.Sprintf(" %s=%s", key, strings.TrimSpace(string(value)))
		delete(of, key)
	}
	for _, key := range firstFields {
		if _, ok := of[key]; ok {
			show(key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(of)) {
		show(key)
	}
	return text
}
