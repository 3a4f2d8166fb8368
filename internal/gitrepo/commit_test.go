package gitrepo_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/htmlindex"
	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/internal/gitrepo"
)

// rawCommit writes a commit object as it is given, with TREE and PARENT filled in.
func rawCommit(tb testing.TB, dir, raw string) string {
	tb.Helper()
	raw = strings.NewReplacer("TREE", git(tb, dir, "rev-parse", "HEAD^{tree}"), "PARENT", git(tb, dir, "rev-parse", "HEAD")).Replace(raw)
	return gitInput(tb, dir, raw, "hash-object", "-t", "commit", "-w", "--literally", "--stdin")
}

// TestACommitInAnotherEncodingIsReadAsGitReadsIt lets git write the commits, in the encodings that i18n.commitEncoding is
// set to.
func TestACommitInAnotherEncodingIsReadAsGitReadsIt(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	for _, c := range []struct{ named, of, text string }{
		{"windows-1252", "", "Prüfung – „bestanden“ € Ž"},
		{"CP1252", "windows-1252", "Prüfung – „bestanden“"},
		{"cp1251", "", "Требование изменено"},
		{"WINDOWS-1251", "", "Требование изменено"},
		{"KOI8-R", "", "Требование изменено"},
		{"KOI8-U", "", "Вимогу змінено їґє"},
		{"Shift_JIS", "", "監査ログを追加 ｶﾅ"},
		{"SHIFT-JIS", "shift_jis", "監査ログを追加"},
		{"SJIS", "shift_jis", "監査ログを追加"},
		{"EUC-JP", "", "監査ログを追加"},
		{"ISO-2022-JP", "", "監査ログを追加"},
		{"ISO-8859-1", "", "Prüfung äöß"},
		{"latin1", "", "Prüfung äöß"},
		{"ISO8859-1", "latin1", "Prüfung äöß"},
		{"ISO-8859-2", "", "Zażółć gęślą jaźń"},
		{"ISO-8859-15", "", "Prix: 5 € œuvre"},
		{"GBK", "", "审计日志"},
		{"GB18030", "", "审计日志 😀"},
		{"Big5", "", "稽核記錄"},
		{"EUC-KR", "", "감사 로그"},
		{"CP949", "euc-kr", "감사 로그"},
		{"UTF-8", "", "Prüfung 監査"},
		{"utf8", "", "Prüfung 監査"},
	} {
		name := c.of
		if name == "" {
			name = c.named
		}
		known, err := htmlindex.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		encoded, err := known.NewEncoder().String(c.text)
		if err != nil {
			t.Fatalf("%s: %v", c.named, err)
		}
		id := gitInput(t, dir, encoded+"\n\nBody: "+encoded+"\n", "-c", "i18n.commitEncoding="+c.named, "-c", "user.name="+encoded, "commit-tree", "HEAD^{tree}", "-p", "HEAD", "-F", "-")
		sameCommit(t, dir, mustOpen(t, dir, gitrepo.Options{Ref: id}))
		raw := rawCommit(t, dir, "tree TREE\nauthor "+encoded+" <a@b> 1 +0000\ncommitter "+encoded+" <a@b> 1 +0000\nencoding "+c.named+"\n\n"+encoded+"\n")
		revision := mustOpen(t, dir, gitrepo.Options{Ref: raw})
		sameCommit(t, dir, revision)
		if s := revision.Source(); s.Author.Name != c.text || s.Message != c.text+"\n" {
			t.Errorf("%s: read %q and %q, want %q", c.named, s.Author.Name, s.Message, c.text)
		}
	}
}

func TestTextThatCannotBeDecodedLosesNothing(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	for _, c := range []struct{ encoding, name, message, wantName, wantMessage string }{
		{"encoding klingon\n", "J\xf6rg", "Gr\xfc\\\xdfe", `J\xf6rg`, `[encoding "klingon" is unknown; bytes are written as \xNN] Gr\xfc\\\xdfe`},
		{"encoding klingon\n", "Jörg", "plain", `J\xc3\xb6rg`, `[encoding "klingon" is unknown; bytes are written as \xNN] plain`},
		{"encoding klingon\n", "Ann", `C:\x`, "Ann", `C:\x`},
		{"", "J\xf6rg", "Grüße \xff", `J\xf6rg`, `[not valid UTF-8, and no other encoding is given; bytes are written as \xNN] Grüße \xff`},
		{"encoding UTF-8\n", "Jörg", "\xff", `Jörg`, `[not valid UTF-8, and no other encoding is given; bytes are written as \xNN] \xff`},
		{"encoding EUC-JP\n", "Ann", "a\xffb", "Ann", `[not valid in the encoding "EUC-JP"; bytes are written as \xNN] a\xffb`},
		{"encoding iso-2022-kr\n", "Ann", "a\xffb", "Ann", `[encoding "iso-2022-kr" is unknown; bytes are written as \xNN] a\xffb`},
	} {
		id := rawCommit(t, dir, "tree TREE\nauthor "+c.name+" <a@b> 1 +0000\ncommitter C <a@b> 1 +0000\n"+c.encoding+"\n"+c.message)
		source := mustOpen(t, dir, gitrepo.Options{Ref: id}).Source()
		if source.Author.Name != c.wantName || source.Message != c.wantMessage {
			t.Errorf("%q: read %q and %q, want %q and %q", c.encoding, source.Author.Name, source.Message, c.wantName, c.wantMessage)
		}
	}
}

// TestPropertyTextInAnyEncodingLosesNothing: two messages that differ in their bytes differ in what is read of them.
func TestPropertyTextInAnyEncodingLosesNothing(t *testing.T) {
	t.Parallel()
	names := rapid.SampledFrom([]string{"", "utf-8", "klingon", "windows-1252", "cp1251", "koi8-r", "iso-8859-1", "iso-8859-2", "hz-gb-2312", "x-user-defined"})
	rapid.Check(t, func(r *rapid.T) {
		name := names.Draw(r, "encoding")
		bytes := rapid.Custom(func(r *rapid.T) string {
			part := rapid.SampledFrom([]string{`\`, `\`, `\xff`, `xff`, "ü", "\xff", "\xff", "a"})
			return strings.Join(rapid.SliceOfN(part, 0, 3).Draw(r, "bytes"), "")
		})
		seen := make(map[string]string)
		for _, text := range rapid.SliceOfN(bytes, 2, 60).Draw(r, "texts") {
			shown := gitrepo.Decode(text, name)
			if other, ok := seen[shown]; ok && other != text {
				r.Fatalf("%q and %q in %q are both shown as %q", text, other, name, shown)
			}
			seen[shown] = text
		}
	})
}

// TestHeadersOfACommitAreFoundWhereGitFindsThem compares with git over commits that other programs have written.
func TestHeadersOfACommitAreFoundWhereGitFindsThem(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	const ada, carl = "Ada <a@b> 1700000000 +0200\n", "Carl <c@d> 1800000000 -0730\n"
	raws := map[string]string{
		"committer first":    "tree TREE\nparent PARENT\ncommitter " + carl + "author " + ada + "\nmessage\n",
		"encoding first":     "tree TREE\nencoding ISO-8859-1\nauthor J\xf6" + ada + "committer " + carl + "\nGr\xfc\xdfe\n",
		"unknown headers":    "tree TREE\nnovelty x\nauthor " + ada + "gpgsig -----BEGIN\n author No <no> 1 +0000\n -----END\ncommitter " + carl + "x\n\nm",
		"no message":         "tree TREE\nauthor " + ada + "committer " + carl,
		"an empty message":   "tree TREE\nauthor " + ada + "committer " + carl + "\n",
		"two authors":        "tree TREE\nauthor No <no@no> 1 +0000\nauthor " + ada + "committer " + carl + "\nm",
		"no name":            "tree TREE\nauthor <a@b> 1700000000 +0200\ncommitter  <> 1800000000 +0000\n\nm",
		"odd brackets":       "tree TREE\nauthor A > B <a@b> c> 1700000000 +0200\ncommitter C <<c@d> 1800000000 +0000\n\nm",
		"space":              "tree TREE\nauthor   Ada   <  a@b >   1700000000   +0200  \ncommitter " + carl + "\n\n\nm\n\n",
		"an author in a tag": "tree TREE\nauthor " + ada + "committer " + carl + "mergetag object PARENT\n type commit\n tagger T <t> 1 +0000\n \n words\n\nm",
	}
	for _, zone := range []string{
		"-0030", "+0030", "-0000", "+0000", "+0545", "-0930", "+1400", "-1200", "+1", "-1", "+99", "+9900", "-9959", "+00530", "+0060", "+0161", "0200", "UTC", "", "+", "-x", "+02:00", "+0200x",
	} {
		raws["zone "+zone] = "tree TREE\nauthor Ada <a@b> 1700000000 " + zone + "\ncommitter " + carl + "\nm"
	}
	for _, seconds := range []string{"0", "1", "-1", "2147483648", "4294967296", "99999999999", "x", "17x", "1700000000.5", "+17"} {
		raws["seconds "+seconds] = "tree TREE\nauthor Ada <a@b> " + seconds + " +0200\ncommitter " + carl + "\nm"
	}
	for name, raw := range raws {
		id := rawCommit(t, dir, raw)
		source := mustOpen(t, dir, gitrepo.Options{Ref: id}).Source()
		output := strings.Split(git(t, dir, "log", "-1", "--encoding=UTF-8", "--date=raw", "--format=%an%x00%ae%x00%ad%x00%cn%x00%ce%x00%cd%x00%B", id), "\x00")
		output[6] = strings.TrimSpace(output[6])
		have := []string{source.Author.Name, source.Author.Email, "", source.Committer.Name, source.Committer.Email, "", strings.TrimSpace(source.Message)}
		for i, value := range have {
			if value != "" && value != output[i] || value == "" && i%3 != 2 && output[i] != "" {
				t.Errorf("%s: read %q, git says %q", name, have, output)
				break
			}
		}
		sameTime(t, name+", author", source.Author.When, output[2])
		sameTime(t, name+", committer", source.Committer.When, output[5])
	}
}

// sameTime compares a time with "SECONDS ZONE" of git. JSON has no zone of a day or more; the instant stays.
func sameTime(tb testing.TB, name string, at time.Time, output string) {
	tb.Helper()
	if at.IsZero() {
		if output != "" && output != "0 +0000" {
			tb.Errorf("%s: no time, git says %q", name, output)
		}
		return
	}
	var seconds, zone int64
	if _, err := fmt.Sscanf(output, "%d %d", &seconds, &zone); err != nil {
		tb.Errorf("%s: %s, git says %q", name, at, output)
		return
	}
	_, offset := at.Zone()
	want := int(zone/100*3600 + zone%100*60)
	if at.Unix() != seconds || offset != want && (want > -86400 && want < 86400 || offset != 0) {
		tb.Errorf("%s: %s, git says %q", name, at, output)
	}
}

func TestACommitThatGitRefusesIsRefused(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	for name, raw := range map[string]string{
		"empty": "", "no tree": "author A <a> 1 +0000\n\nm", "tree last": "author A <a> 1 +0000\ntree TREE\n\nm", "short tree": "tree 12345\n\nm",
		"short parent": "tree TREE\nparent 12345\nauthor A <a> 1 +0000\n\nm",
	} {
		_, err := open(t, dir, gitrepo.Options{Ref: rawCommit(t, dir, raw)})
		t.Log(name)
		assertProblem(t, err, gitrepo.ErrCorrupt, "cannot be decoded", "git fsck")
	}
}
