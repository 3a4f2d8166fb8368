package query_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/projections/query"
)

func TestPointsAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"2026-03-01", "2026-03-01T12:00:00Z", "2026-03-01T12:00:00.123456Z", "2026-03-01T12:00:00+01:00", "2026-03-01T12:00:00.5-11:30",
		"pos:1", "pos:9223372036854775807", "scan:1", "scan:007", "commit:1e19594", "commit:1E19594A",
		"commit:" + strings.Repeat("a", 40), "main", "v1.4", "1.4", "2026.03", "feature/x", "1234567", "2026-03", "deadbee", "ref:2026-03-01", "refs/tags/v1",
		"commit-date:2026-03-01", "commit-date:2026-03-01T12:00:00+01:00",
	} {
		p, err := query.ParsePoint(text)
		if err != nil || p.String() != text || p.IsNow() {
			t.Errorf("%s: %v, %v", text, p, err)
		}
		if moment := strings.HasPrefix(text, "2026-03-01") || strings.HasPrefix(text, "pos:"); p.NamesScan() == moment {
			t.Errorf("%s: names a scan is %v", text, p.NamesScan())
		}
	}
	if !(query.Point{}).IsNow() {
		t.Error("the zero value is not now")
	}
}

func TestWhatIsNoPointIsAnsweredWithWhatIs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                  "want a time such as",
		"two words":                         "a date such as 2026-03-01",
		"-v1":                               "a tag or branch that was scanned",
		"v1..v2":                            "a tag or branch that was scanned",
		"v1\u202e":                          "a tag or branch that was scanned",
		"ref:":                              "want ref:NAME",
		"ref:a b":                           "want ref:NAME",
		"commit-date:v1":                    "want a time such as",
		"commit-date:2026-03-01T12:00:00":   "it has no zone",
		"commit-dat:2026-03-01":             "did you mean commit-date:?",
		"2026-02-30":                        "want a time such as",
		"2026-03-01T12:00:00":               "it has no zone: add Z for UTC",
		"2026-03-01 12:00:00Z":              "want a time such as",
		"2026-03-01T12:00:00,5Z":            "want a time such as",
		"2026-03-01T25:00:00Z":              "want a time such as",
		"2026-03-01T12:00Z":                 "want a time such as",
		"pos:0":                             "from 1; gxpledger audit",
		"pos:":                              "from 1",
		"pos:+1":                            "from 1",
		"pos:1_000":                         "from 1",
		"pos:99999999999999999999":          "from 1",
		"scan:-1":                           "from 1; gxpledger scans",
		"scan:x":                            "from 1",
		"commit:abc":                        "the first 7 or more hexadecimal digits",
		"commit:abcdefgh":                   "hexadecimal",
		"commit:" + strings.Repeat("a", 65): "hexadecimal",
		"scna:3":                            "did you mean scan:?",
		"comit:1234567":                     "did you mean commit:?",
		"tag:v1":                            "pos:N, scan:N, commit:SHA",
	} {
		_, err := query.ParsePoint(text)
		var wrong *query.PointError
		if !errors.As(err, &wrong) || wrong.Given != text || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want it to say %s", text, err, want)
		}
	}
}

func FuzzParsePoint(f *testing.F) {
	for _, text := range []string{
		"2026-03-01", "2026-03-01T12:00:00Z", "2026-03-01T12:00:00.000001+14:00", "pos:12", "scan:3", "commit:1e19594", "commit:", ":", "pos:0x1",
		"0000-01-01", "9999-12-31", "9999-12-31T23:59:59.999999999Z", "scan:\x1b[2J", "\u202e", "2026-03-01T12:00:00",
		"main", "ref:v1", "deadbee", "commit-date:2026-03-01", "commit-date:ref:x", "ref:commit-date:x",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := query.ParsePoint(text)
		if err != nil {
			var wrong *query.PointError
			if !errors.As(err, &wrong) || wrong.Want == "" || strings.ContainsAny(err.Error(), "\x1b\r\n\x00") {
				t.Errorf("%q: error %q", text, err)
			}
			return
		}
		if p.IsNow() || p.String() != text {
			t.Errorf("%q is read as %q", text, p)
		}
		if again, err := query.ParsePoint(p.String()); err != nil || again != p {
			t.Errorf("%q reads back as %#v, %v; want %#v", text, again, err, p)
		}
	})
}
