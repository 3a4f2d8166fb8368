package rosie

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
)

// A log never forgets, so a key or token that is stored once is stored for ever. This file finds the forms that services
// give to theirs so that they can be found: with a prefix of their own, of a known length and alphabet. Words such as
// "password" are no such form. A new form is one line in tokenForms.

// Secret is a place where a text holds a well-known form of a secret. It does not hold the secret.
type Secret struct {
	Kind string // "a GitHub token"
	Line int    // from 1
}

// FindSecrets returns where data holds secrets, at most so many, in linear time.
func FindSecrets(data []byte, most int) []Secret { return newSecretFinder().find(data, most) }

// tokenForm is the form of one kind of token: a prefix, and behind it a run of characters of a class.
type tokenForm struct {
	kind   string
	prefix string
	class  class
	least  int                           // length of the run
	most   int                           // 0: any
	check  func(rest []byte, n int) bool // what else must hold of the text from the prefix on, whose run is n long; or nil
}

// class is a set of ASCII characters.
type class uint8

const (
	digits class = 1 << iota
	lowerHex
	lower
	upper
	underscore
	dash
	base64Only // + / =
)

const (
	hexadecimal = digits | lowerHex
	alnum       = digits | lower | upper
	wordClass   = alnum | underscore
	base64URL   = wordClass | dash
	base64Std   = alnum | base64Only
)

func (c class) has(b byte) bool {
	switch {
	case '0' <= b && b <= '9':
		return c&digits != 0
	case 'a' <= b && b <= 'z':
		return c&lower != 0 || b <= 'f' && c&lowerHex != 0
	case 'A' <= b && b <= 'Z':
		return c&upper != 0
	case b == '_':
		return c&underscore != 0
	case b == '-':
		return c&dash != 0
	}
	return c&base64Only != 0 && (b == '+' || b == '/' || b == '=')
}

// run is how many characters at the beginning of data are in the class.
func (c class) run(data []byte) int {
	n := 0
	for n < len(data) && c.has(data[n]) {
		n++
	}
	return n
}

func tokenForms() []tokenForm {
	forms := []tokenForm{
		{kind: "an AWS access key", prefix: "AKIA", class: digits | upper, least: 16, most: 16},
		{kind: "an AWS access key", prefix: "ASIA", class: digits | upper, least: 16, most: 16},
		{kind: "a GitHub token", prefix: "github_pat_", class: wordClass, least: 22},
		{kind: "a GitLab token", prefix: "glptt-", class: hexadecimal, least: 40, most: 40},
		{kind: "a Slack token", prefix: "xapp-", class: alnum | dash, least: 20},
		{kind: "a Slack webhook", prefix: "hooks.slack.com/services/T", class: digits | upper, least: 6, check: slackWebhook},
		{kind: "a Stripe webhook secret", prefix: "whsec_", class: base64Std, least: 32},
		{kind: "an npm token", prefix: "npm_", class: alnum, least: 36, most: 36},
		{kind: "a PyPI token", prefix: "pypi-AgEIcHlwaS5vcmc", class: base64URL, least: 50},
		{kind: "a PyPI token", prefix: "pypi-AgENdGVzdC5weXBpLm9yZw", class: base64URL, least: 50},
		{kind: "a Google API key", prefix: "AIza", class: base64URL, least: 35, most: 35},
		{kind: "a Google OAuth secret", prefix: "GOCSPX-", class: base64URL, least: 28, most: 28},
		{kind: "a Google OAuth token", prefix: "ya29.", class: base64URL, least: 40},
		{kind: "an Azure storage key", prefix: "AccountKey=", class: base64Std, least: 88, most: 88},
		{kind: "an OpenAI key", prefix: "sk-", class: base64URL, least: 40, check: openAIKey},
		{kind: "an Anthropic key", prefix: "sk-ant-", class: base64URL, least: 80},
		{kind: "a SendGrid key", prefix: "SG.", class: base64URL, least: 22, most: 22, check: sendGridKey},
		{kind: "a Vault token", prefix: "hvs.", class: base64URL, least: 24},
		{kind: "a Databricks token", prefix: "dapi", class: hexadecimal, least: 32, most: 32},
		{kind: "a Docker Hub token", prefix: "dckr_pat_", class: base64URL, least: 27, most: 27},
		{kind: "a Hugging Face token", prefix: "hf_", class: lower | upper, least: 34, most: 34},
		{kind: "a RubyGems key", prefix: "rubygems_", class: hexadecimal, least: 48, most: 48},
		{kind: "a Grafana token", prefix: "glsa_", class: wordClass, least: 41, most: 41},
		{kind: "a Linear key", prefix: "lin_api_", class: alnum, least: 40, most: 40},
		{kind: "an Atlassian token", prefix: "ATATT3", class: base64URL | base64Only, least: 50},
		{kind: "a New Relic key", prefix: "NRAK-", class: digits | upper, least: 27, most: 27},
		{kind: "a Postman key", prefix: "PMAK-", class: hexadecimal | dash, least: 59, most: 59},
		{kind: "an age key", prefix: "AGE-SECRET-KEY-1", class: digits | upper, least: 58, most: 58},
		{kind: "a private key", prefix: "PuTTY-User-Key-File-", class: digits, least: 1},
		{kind: "a private key", prefix: "-----BEGIN ", check: privateKey},
		{kind: "a JSON web token", prefix: "eyJ", class: base64URL, least: 10, check: webToken},
	}
	same := func(kind string, class class, least, most int, prefixes ...string) {
		for _, prefix := range prefixes {
			forms = append(forms, tokenForm{kind: kind, prefix: prefix, class: class, least: least, most: most})
		}
	}
	same("a GitHub token", alnum, 36, 255, "ghp_", "gho_", "ghu_", "ghs_", "ghr_")
	same("a GitLab token", base64URL, 20, 0, "glpat-", "gldt-", "glrt-", "glcbt-", "glimt-", "glft-", "glsoat-", "glagent-", "gloas-")
	same("a Slack token", alnum|dash, 10, 0, "xoxa-", "xoxb-", "xoxe-", "xoxe.", "xoxo-", "xoxp-", "xoxr-", "xoxs-")
	same("a Stripe key", alnum, 16, 0, "sk_live_", "sk_test_", "rk_live_", "rk_test_")
	same("a DigitalOcean token", hexadecimal, 64, 64, "dop_v1_", "doo_v1_", "dor_v1_")
	same("a Shopify token", hexadecimal|upper, 32, 32, "shpat_", "shpca_", "shppa_", "shpss_")
	for _, name := range []string{"aws_secret_access_key", "AWS_SECRET_ACCESS_KEY", "SecretAccessKey", "secretAccessKey", "aws_secret_key", "AWS_SECRET_KEY"} {
		forms = append(forms, tokenForm{kind: "an AWS secret key", prefix: name, check: awsSecretKey})
	}
	return forms
}

// secretFinder looks for all forms in one pass.
type secretFinder struct {
	forms []tokenForm
	first [1 << 16]uint8 // 1 + the first of the forms whose prefixes begin with two bytes; 0 for none
	next  []uint8        // the same for the form after each, in that chain
}

func newSecretFinder() *secretFinder {
	f := &secretFinder{forms: tokenForms()}
	f.next = make([]uint8, len(f.forms))
	for i := range f.forms {
		pair := pairOf(f.forms[i].prefix[0], f.forms[i].prefix[1])
		f.next[i], f.first[pair] = f.first[pair], uint8(i+1)
	}
	return f
}

func pairOf(a, b byte) int { return int(a)<<8 | int(b) }

// find returns where data holds secrets, at most so many. Each line is reported once.
func (f *secretFinder) find(data []byte, most int) []Secret {
	if bytes.IndexByte(data, 0) >= 0 { // UTF-16, where every second byte is 0
		data = bytes.ReplaceAll(data, []byte{0}, nil)
	}
	var found []Secret
	line, counted := 1, 0
	for i := 1; i < len(data) && len(found) < most; i++ {
		form := f.first[pairOf(data[i-1], data[i])]
		if form == 0 {
			continue
		}
		kind := f.at(data, i-1, form)
		if kind == "" {
			continue
		}
		line += bytes.Count(data[counted:i], []byte{'\n'})
		counted = i
		if n := len(found); n == 0 || found[n-1].Line != line {
			found = append(found, Secret{Kind: kind, Line: line})
		}
	}
	return found
}

// at returns the kind of the secret that begins at data[i], if one of a chain of forms fits; "" for none.
func (f *secretFinder) at(data []byte, i int, form uint8) string {
	for ; form != 0; form = f.next[form-1] {
		t := &f.forms[form-1]
		if bytes.HasPrefix(data[i:], []byte(t.prefix)) && t.begins(data, i) && t.fits(data[i:]) {
			return t.kind
		}
	}
	return ""
}

// begins reports whether a token may begin at data[i]: not amid a longer one. An escaped line end does not belong to it.
func (t *tokenForm) begins(data []byte, i int) bool {
	if i == 0 || !(wordClass | t.class&^base64Only).has(data[i-1]) || t.prefix[0] == '-' {
		return true
	}
	return i > 1 && data[i-2] == '\\' && (data[i-1] == 'n' || data[i-1] == 'r' || data[i-1] == 't')
}

func (t *tokenForm) fits(rest []byte) bool {
	run := rest[len(t.prefix):]
	switch { // no more than is needed: the next token may begin in this one
	case t.most != 0:
		run = run[:min(len(run), t.most+1)]
	case t.check == nil:
		run = run[:min(len(run), t.least)]
	}
	n := t.class.run(run)
	switch {
	case n < t.least || t.most != 0 && n > t.most:
		return false
	case n > 0 && n < len(run) && t.check == nil && wordClass.has(run[n]):
		return false
	case n > 0 && len(bytes.Trim(run[:n], "xX")) == 0: // as in examples
		return false
	}
	return t.check == nil || t.check(rest, len(t.prefix)+n)
}

func slackWebhook(rest []byte, n int) bool {
	team, found := bytes.CutPrefix(rest[n:], []byte("/B"))
	if !found {
		return false
	}
	channel := (digits | upper).run(team)
	const least = 20
	return channel > 0 && channel < len(team) && team[channel] == '/' && alnum.run(team[channel+1:]) >= least
}

func openAIKey(rest []byte, n int) bool { return bytes.Contains(rest[:n], []byte("T3BlbkFJ")) }

func sendGridKey(rest []byte, n int) bool {
	const secret = 43
	return n < len(rest) && rest[n] == '.' && base64URL.run(rest[n+1:]) == secret
}

// awsSecretKey looks for a value behind the name of the setting.
func awsSecretKey(rest []byte, n int) bool {
	const most, secret = 12, 40 // of quotes, blanks and the sign between
	value := bytes.TrimLeft(rest[n:min(len(rest), n+most)], "\\\"' \t:=>")
	between := min(len(rest), n+most) - n - len(value)
	value = rest[n+between:]
	return bytes.ContainsAny(rest[n:n+between], ":=") && base64Std.run(value[:min(len(value), secret+1)]) == secret
}

// privateKey reports whether a PEM block of a private key begins here that holds something. Text about such a block, or one
// with dots for its content, is none.
func privateKey(rest []byte, _ int) bool {
	const longest = 40
	label, _, found := bytes.Cut(rest[len("-----BEGIN "):min(len(rest), len("-----BEGIN ")+longest)], []byte("-----"))
	if !found || !bytes.HasSuffix(bytes.TrimSuffix(label, []byte(" BLOCK")), []byte("PRIVATE KEY")) {
		return false
	}
	rest = rest[len("-----BEGIN ")+len(label)+len("-----"):]
	const certain = 16   // characters in a row that are no word
	const mostLines = 64 // of headers and short ones
	some := false
	for range mostLines {
		rest = skipMargin(rest)
		if bytes.HasPrefix(rest, []byte("-----END ")) {
			return some
		}
		n := base64Std.run(rest)
		line := firstOfLine(rest)
		switch {
		case n >= certain:
			return true
		case bytes.Contains(line, []byte(": ")): // a header, such as Proc-Type
			rest = rest[len(line):]
		case n == 0 || len(bytes.TrimRight(line[min(n, len(line)):], "\\\"'`,+ \t")) > 0 && !bytes.HasPrefix(line[n:], []byte("-----END ")):
			return false
		default:
			some, rest = true, rest[n:]
		}
	}
	return false
}

// skipMargin drops what may be between the lines of a key in source text: blanks, quotes, marks of quotations, comments
// and lists, and escaped line ends.
func skipMargin(rest []byte) []byte {
	for len(rest) > 0 {
		switch {
		case len(rest) > 1 && rest[0] == '\\' && strings.IndexByte("nrt\\", rest[1]) >= 0:
			rest = rest[2:]
		case strings.IndexByte(" \t\r\n\"'`>|#*,", rest[0]) >= 0:
			rest = rest[1:]
		default:
			return rest
		}
	}
	return rest
}

// firstOfLine returns text up to its first line end, escaped or not, or as much as a line of such a block may be long.
func firstOfLine(text []byte) []byte {
	const longest = 200
	text = text[:min(len(text), longest)]
	text, _, _ = bytes.Cut(text, []byte{'\n'})
	text, _, _ = bytes.Cut(text, []byte(`\n`))
	return bytes.TrimRight(text, "\r")
}

// webToken reports whether a JSON web token begins here that lets somebody in: its payload has one of the registered claims,
// and none that is of evidence.
func webToken(rest []byte, n int) bool {
	payload, ok := tokenPayload(rest, n)
	var claims map[string]json.RawMessage
	if !ok || json.Unmarshal(payload, &claims) != nil {
		return false
	}
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return claims[name] != nil })
	}
	return has("iss", "sub", "aud", "exp", "nbf", "iat", "jti", "scope", "azp") &&
		!has("spec_id", "gxp_id", "parent_id", "evidence_id", "package_id", "verified_spec", "test_results", "test_summary", "release_version", "files", "requirement_id")
}

// tokenPayload decodes the second part of a compact JWS whose first part ends at rest[n].
func tokenPayload(rest []byte, n int) (payload []byte, ok bool) {
	if n >= len(rest) || rest[n] != '.' {
		return nil, false
	}
	second := base64URL.run(rest[n+1:])
	end := n + 1 + second
	if second == 0 || end+1 >= len(rest) || rest[end] != '.' || !base64URL.has(rest[end+1]) {
		return nil, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(string(rest[n+1 : end]))
	return payload, err == nil
}

// secretFaults looks for secrets in what is about to be stored, and collects the faults.
type secretFaults struct {
	finder *secretFinder // nil: secrets are allowed
	stored func(sha256 string) bool
	faults []domain.Violation
	limit  int
	more   int             // faults that are not listed
	named  map[string]bool // paths that hold a secret
}

func newSecretFaults(options *Options) *secretFaults {
	s := &secretFaults{stored: options.Stored, limit: options.Limits.Findings, named: make(map[string]bool)}
	if !options.AllowSecrets {
		s.finder = newSecretFinder()
	}
	return s
}

// file looks through a file. The evidence of a signature is a token too, and meant to be stored: of it, the payload is
// looked through.
func (s *secretFaults) file(f *loaded) {
	if s.finder == nil {
		return
	}
	const perFile = 10
	found := s.finder.find(signedText(f), perFile)
	if len(found) == 0 || s.stored != nil && s.stored(f.sha256) {
		return
	}
	for _, secret := range found {
		s.add(f.entry.path, secret, fmt.Sprintf("line %d", secret.Line))
	}
}

// signedText is the text of a file: of a compact JWS, its payload.
func signedText(f *loaded) []byte {
	compact := bytes.TrimSpace(f.data)
	if !strings.HasSuffix(f.entry.path, ".jws") {
		return f.data
	}
	if payload, ok := tokenPayload(compact, base64URL.run(compact)); ok {
		return payload
	}
	return f.data
}

// names looks through paths, which are stored too.
func (s *secretFaults) names(paths ...string) {
	if s.finder == nil {
		return
	}
	for _, path := range paths {
		if s.named[path] {
			continue
		}
		for _, secret := range s.finder.find([]byte(path), 1) {
			s.named[path] = true
			s.add(gxpDir, secret, "the name of a file or folder below it")
		}
	}
}

func (s *secretFaults) add(path string, secret Secret, where string) {
	if len(s.faults) >= s.limit {
		s.more++
		return
	}
	s.faults = append(s.faults, domain.Violation{
		Code: domain.ViolationSecret, Path: path,
		Text: fmt.Sprintf("%s: %s holds what looks like %s: withdraw it where it was issued and take it out of the file, "+
			"or scan with --allow-secrets if it is harmless", path, where, secret.Kind),
	})
}

// violations returns the faults, with a last one that counts what is not listed.
func (s *secretFaults) violations() []domain.Violation {
	if s.more == 0 {
		return s.faults
	}
	return append(s.faults, domain.Violation{Code: domain.ViolationSecret, Path: gxpDir, Text: fmt.Sprintf("%d more secrets are not listed", s.more)})
}
