package postgres_test

import (
	"encoding/json"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/postgres"
)

// streams is how many the test below has. A table as small as theirs may be read from end to end.
const streams = 8

// The planner does not know how few events a range of positions holds, or that ids are looked for which are not there. In a
// long log it must not come to think that walking through all of it is the shorter way: a page costs what it holds, however
// long the log is. Here it believes that the log is very long, and the rows that each statement touches are counted.
func TestStatementsTouchWhatTheyReturnHoweverLongTheLogIs(t *testing.T) {
	t.Parallel()
	const perStream, size = 25, 25
	url := made(t)
	log := open(t, url)
	middle := eventstore.StreamID("")
	for range streams {
		stream := eventstore.StreamID("repository-" + uuid.NewString())
		last := mustAppend(t, log, start(stream, size))
		for range perStream - 1 {
			last = mustAppend(t, log, after(stream, last, size))
		}
		middle = stream
	}
	conn := connect(t, url)
	exec(t, conn, "ANALYZE gxp_log.events, gxp_log.batches, gxp_log.streams")
	believed := streams * perStream * size
	for _, times := range []int{20, 10, 10, 10} { // 100 thousand events, 1, 10 and 100 million
		believed *= times
		exec(t, conn, `UPDATE pg_class SET reltuples = reltuples * $1 WHERE relnamespace = 'gxp_log'::regnamespace
			AND relname IN ('events', 'batches', 'streams')`, times)
		checkStatements(t, conn, streams*perStream*size, believed, string(middle))
	}
}

func checkStatements(t *testing.T, conn *pgx.Conn, all int64, believed int, stream string) {
	t.Helper()
	absent := make([][16]byte, 1000)
	for i := range absent {
		absent[i] = uuid.New()
	}
	los, his := []int64{all / 2, all/2 + 300, all/2 + 900}, []int64{all/2 + 199, all/2 + 599, all/2 + 999}
	const asked = 600
	types := []string{"artifact.parsed.v1"}
	for name, test := range map[string]struct {
		args []any
		most int // rows of the log
	}{
		"eventsForward":         {[]any{los, his, nil}, asked},
		"eventsForward/types":   {[]any{los, his, types}, asked},
		"eventsBackward":        {[]any{los, his, nil}, asked},
		"eventsBackward/types":  {[]any{los, his, types}, asked},
		"countEvents":           {[]any{los, his}, asked},
		"findIDs":               {[]any{absent}, 0},
		"batchesForward":        {[]any{all / 2, all, 10}, 2*10 + 1},
		"batchesBackward":       {[]any{all / 2, all, 10}, 2 * 10},
		"streamBatchesForward":  {[]any{10, all, 10, stream}, 2*10 + 3*streams},
		"streamBatchesBackward": {[]any{all, all, 10, stream}, 2*10 + 3*streams},
		"ends":                  {[]any{[]string{stream}}, 1 + streams},
	} {
		if touched, plan := touches(t, conn, postgres.Statement(name), test.args); touched > test.most {
			t.Errorf("in a log of about %d events, %s touches %d rows, want at most %d:\n%s", believed, name, touched, test.most, plan)
		}
	}
}

// node is a step of a plan that was carried out.
type node struct {
	Relation  string  `json:"Relation Name"`
	Rows      float64 `json:"Actual Rows"`
	Filtered  float64 `json:"Rows Removed by Filter"`
	Rechecked float64 `json:"Rows Removed by Index Recheck"`
	Loops     float64 `json:"Actual Loops"`
	Plans     []node  `json:"Plans"`
}

func (n node) touched() float64 {
	sum := 0.0
	if n.Relation != "" {
		sum = (n.Rows + n.Filtered + n.Rechecked) * n.Loops
	}
	for _, below := range n.Plans {
		sum += below.touched()
	}
	return sum
}

// touches returns how many rows of tables a statement looks at, and its plan.
func touches(t *testing.T, conn *pgx.Conn, sql string, args []any) (int, string) {
	t.Helper()
	var text string
	if err := conn.QueryRow(within(t), "EXPLAIN (ANALYZE, FORMAT JSON) "+sql, args...).Scan(&text); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	var plans []struct {
		Plan node `json:"Plan"`
	}
	if err := json.Unmarshal([]byte(text), &plans); err != nil {
		t.Fatal(err)
	}
	return int(plans[0].Plan.touched()), text
}
