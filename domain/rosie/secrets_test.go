package rosie_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf16"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
)

// chars returns n characters that look like those of a token.
func chars(n int, alphabet string) string {
	var out strings.Builder
	for i := range n {
		out.WriteByte(alphabet[(i*7+i/3+3)%len(alphabet)])
	}
	return out.String()
}

const (
	lettersAndDigits = "aB3dE5gH7jK9mN1pQrStUvWxYz0246"
	upperAndDigits   = "QW3RTYUI7PASD2FGHJKL5ZXCVBNM4"
	hexDigits        = "0123456789abcdef"
)

// jwt returns a JSON web token with these claims.
func jwt(claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode([]byte(claims)) + "." + chars(43, lettersAndDigits)
}

// pemBlock returns a block of a private key, of no real one.
func pemBlock(label string) string {
	return "-----BEGIN " + label + "-----\n" + chars(64, lettersAndDigits) + "\n" + chars(40, lettersAndDigits) + "==\n-----END " + label + "-----\n"
}

// secretSamples are secrets by their kind. They are put together here, since scanners of others look for them too.
func secretSamples() map[string][]string {
	token := func(prefix string, n int) string { return prefix + chars(n, lettersAndDigits) }
	hex := func(prefix string, n int) string { return prefix + chars(n, hexDigits) }
	return map[string][]string{
		"an AWS access key": {"AKIA" + chars(16, upperAndDigits), "ASIA" + chars(16, upperAndDigits), "AKIA" + "IOSFODNN7EXAMPLE"},
		"an AWS secret key": {
			"aws_secret_access_key = " + token("", 40), "AWS_SECRET_ACCESS_KEY=" + token("", 40), `"SecretAccessKey": "` + token("", 40) + `"`, "aws_secret_access_key: '" + token("", 40) + "'",
		},
		"a GitHub token":          {token("ghp_", 36), token("gho_", 36), token("ghu_", 36), token("ghs_", 36), token("ghr_", 76), token("github_pat_", 22) + "_" + token("", 59)},
		"a GitLab token":          {token("glpat-", 20), token("glrt-", 20), token("gldt-", 20), hex("glptt-", 40)},
		"a Slack token":           {"xoxb-123456789012-1234567890123-" + token("", 24), "xoxp-1234567890-" + hex("", 32), "xapp-1-A012345-123456-" + hex("", 64)},
		"a Slack webhook":         {"https://hooks.slack.com/services/T0123ABCD/B0123ABCD/" + token("", 24)},
		"a Stripe key":            {token("sk_live_", 24), token("rk_live_", 24), token("sk_test_", 99)},
		"a Stripe webhook secret": {token("whsec_", 32)},
		"an npm token":            {token("npm_", 36)},
		"a PyPI token":            {token("pypi-AgEIcHlwaS5vcmc", 150), token("pypi-AgENdGVzdC5weXBpLm9yZw", 150)},
		"a Google API key":        {token("AIza", 35)},
		"a Google OAuth secret":   {token("GOCSPX-", 28)},
		"an Azure storage key":    {"DefaultEndpointsProtocol=https;AccountName=x;" + token("AccountKey=", 86) + "==;EndpointSuffix=core.windows.net"},
		"an OpenAI key":           {"sk-" + token("", 20) + "T3BlbkFJ" + token("", 20), "sk-proj-" + token("", 60) + "T3BlbkFJ" + token("", 60)},
		"an Anthropic key":        {token("sk-ant-api03-", 93) + "AA"},
		"a SendGrid key":          {token("SG.", 22) + "." + token("", 43)},
		"a Vault token":           {token("hvs.", 90)},
		"a Databricks token":      {hex("dapi", 32)},
		"a Docker Hub token":      {token("dckr_pat_", 27)},
		"a RubyGems key":          {hex("rubygems_", 48)},
		"a Grafana token":         {token("glsa_", 32) + "_" + hex("", 8)},
		"a DigitalOcean token":    {hex("dop_v1_", 64)},
		"a Shopify token":         {hex("shpat_", 32)},
		"an age key":              {"AGE-SECRET-KEY-1" + chars(58, upperAndDigits)},
		"a private key": {
			pemBlock("PRIVATE KEY"), pemBlock("RSA PRIVATE KEY"), pemBlock("EC PRIVATE KEY"), pemBlock("DSA PRIVATE KEY"), pemBlock("OPENSSH PRIVATE KEY"), pemBlock("ENCRYPTED PRIVATE KEY"),
			pemBlock("PGP PRIVATE KEY BLOCK"), strings.ReplaceAll(pemBlock("PRIVATE KEY"), "\n", `\n`), strings.ReplaceAll(pemBlock("PRIVATE KEY"), "\n", "\r\n"),
			strings.ReplaceAll(pemBlock("PRIVATE KEY"), "\n", "\n    "), strings.ReplaceAll(pemBlock("PRIVATE KEY"), "\n", "\n> "), strings.ReplaceAll(pemBlock("PRIVATE KEY"), "\n", "\\n\" +\n\t\""),
			strings.Replace(pemBlock("RSA PRIVATE KEY"), "\n", "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,"+chars(32, hexDigits)+"\n\n", 1),
			"-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----", "PuTTY-User-Key-File-2: ssh-rsa",
		},
		"a JSON web token": {jwt(`{"sub":"1234567890","name":"John Doe","iat":1516239022}`), jwt(`{"iss":"https://login.example","aud":"api","exp":1900000000}`)},
	}
}

func TestSecretsAreFoundInAnySurroundings(t *testing.T) {
	t.Parallel()
	for kind, samples := range secretSamples() {
		for _, sample := range samples {
			for _, around := range [][2]string{
				{"", ""},
				{"token: ", "\n"},
				{`"`, `"`},
				{"'", "',"},
				{"`", "`"},
				{"(", ")"},
				{"=", ""},
				{"\n\n", "\r\n"},
				{">", "<"},
				{"Bearer ", "."},
				{"key=", "&x=y"},
				{`{"a":"x\n`, `"}`},
				{"| ", " |"},
				{"https://ci:", "@h/x"},
				{"é", "é"},
			} {
				if kind == "a JSON web token" && around[1] == "." {
					continue
				}
				text := around[0] + sample + around[1]
				found := rosie.FindSecrets([]byte(text), 10)
				if len(found) != 1 || found[0].Kind != kind || found[0].Line != 1+strings.Count(around[0], "\n") {
					t.Errorf("%q holds %v, want %s in line %d", text, found, kind, 1+strings.Count(around[0], "\n"))
				}
			}
			var wide []byte
			for _, unit := range utf16.Encode([]rune("\ufeffx\n " + sample + "\n")) {
				wide = append(wide, byte(unit>>8), byte(unit))
			}
			if found := rosie.FindSecrets(wide, 10); len(found) != 1 || found[0].Line != 2 {
				t.Errorf("%q in UTF-16: %v", sample, found)
			}
		}
	}
}

func TestWhatOnlyLooksLikeASecretIsNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "a", "password: hunter2", "ghp_", "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "ghp_" + chars(20, lettersAndDigits), "AKIA", "AKIAXXXXXXXXXXXXXXXX",
		"AKIA" + chars(17, upperAndDigits), "xAKIA" + chars(16, upperAndDigits), "AKIA" + chars(16, upperAndDigits) + "z", "npm_config_registry", "npm_" + chars(37, lettersAndDigits),
		"sk-" + chars(60, "abcdefgh-"), "sk_live_", "risk_test_" + chars(30, lettersAndDigits), "task_live_" + chars(30, lettersAndDigits), "AIza" + chars(34, lettersAndDigits), "glpat-short", "xoxb-1", "hooks.slack.com/services/T/B/x",
		"aws_secret_access_key = ${SECRET}", "aws_secret_access_key is " + chars(40, lettersAndDigits), "-----BEGIN PUBLIC KEY-----\n" + chars(64, lettersAndDigits) + "\n-----END PUBLIC KEY-----\n",
		"-----BEGIN CERTIFICATE-----\n" + chars(64, lettersAndDigits) + "\n-----END CERTIFICATE-----\n", "-----BEGIN PRIVATE KEY-----", "the header -----BEGIN PRIVATE KEY----- begins such a block",
		"-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\n<your key>\n-----END PRIVATE KEY-----",
		"-----BEGIN PRIVATE KEY-----\nyour key here\n-----END PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----", "-----BEGIN SSH2 PUBLIC KEY-----\n" + chars(64, lettersAndDigits),
		"eyJhbGciOiJFUzI1NiJ9", "eyJhbGciOiJFUzI1NiJ9.eyJ4IjoxfQ.", jwt(`{"x":1}`), jwt(`{"spec_id":"SPEC-1","iat":1516239022}`), jwt(`not json`), jwt(`{"gxp_id":"EV-1","exp":1}`),
		"d41d8cd98f00b204e9800998ecf8427e", chars(64, hexDigits), "2b2d5a66-fbf3-50f1-9f54-55de0177c2ff", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + chars(43, lettersAndDigits),
		"https://user:password@example.org/x", strings.Repeat("-", 1000), strings.Repeat("eyJ", 1000), "dapi-docs", "SG.1", "hf_hub_download_" + chars(34, lettersAndDigits),
	} {
		if found := rosie.FindSecrets([]byte(text), 10); len(found) != 0 {
			t.Errorf("%q holds %v", text, found)
		}
	}
}

func TestTheCorpusHoldsNoSecret(t *testing.T) {
	t.Parallel()
	roots := []string{corpus(t)}
	for _, dir := range revisions(t) {
		roots = append(roots, dir)
	}
	read := 0
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() || strings.HasSuffix(path, ".bundle") {
				return err
			}
			data, err := os.ReadFile(path)
			if found := rosie.FindSecrets(data, 10); len(found) != 0 {
				t.Errorf("%s: %v", path, found)
			}
			read++
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d files", read)
}

func TestPropertyNoFaultRepeatsASecret(t *testing.T) {
	t.Parallel()
	samples := secretSamples()
	var kinds []string
	for kind := range samples {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	rapid.Check(t, func(rt *rapid.T) {
		kind := rapid.SampledFrom(kinds).Draw(rt, "kind")
		secret := rapid.SampledFrom(samples[kind]).Draw(rt, "secret")
		lines := rapid.IntRange(0, 20).Draw(rt, "lines")
		path := rapid.SampledFrom([]string{reqPath, specPath, logPath, contextPath, jwsPath, packagePath + "/metadata.json", packagePath + "/artifacts/out.txt", ".gxp/adr/ADR-001.md"}).Draw(rt, "path")
		form := rapid.SampledFrom([]string{"%s", "---\ngxp_id: %s\ntitle: t\nparent_id: %s\n---\n%s", "---\ntitle: [%s\n", "## RISK-1 %s\n- **Risk Level:** %s\n", `{"package_id":"%s"}`}).Draw(rt, "form")
		text := strings.Repeat("a line\n", lines) + strings.ReplaceAll(form, "%s", secret)
		tree := read(t, files{path: text, packagePath + "/manifest.json": "{}"}.fs(), rosie.Options{})
		if len(tree.Faults) == 0 || len(tree.Files)+len(tree.Contents)+len(tree.Findings)+len(tree.Ignored) != 0 {
			rt.Fatalf("%q in %s: %d faults, %d files", text, path, len(tree.Faults), len(tree.Files))
		}
		reported := fmt.Sprintf("%+v", tree)
		for line := range strings.SplitSeq(secret, "\n") {
			if len(line) > 20 && !strings.HasPrefix(line, "-----") && strings.Contains(reported, line) {
				rt.Fatalf("%s repeats %q", reported, line)
			}
		}
		first := tree.Faults[0]
		if first.Code != domain.ViolationSecret || first.Path != path || !strings.Contains(first.Text, path+": line ") || !strings.Contains(first.Text, "--allow-secrets") {
			rt.Fatalf("fault %+v", first)
		}
	})
}

func TestSecretsInNamesPayloadsAndMembers(t *testing.T) {
	t.Parallel()
	token := "ghp_" + chars(36, lettersAndDigits)
	for name, f := range map[string]files{
		"a name":              {".gxp/requirements/" + token + ".md": "---\ngxp_id: REQ-1\ntitle: t\n---\n"},
		"an ignored name":     {".gxp/notes/" + token + ".txt": "x"},
		"a folder":            {".gxp/evidence/" + token + "/manifest.json": "{}"},
		"a payload":           {jwsPath: jwt(`{"spec_id":"SPEC-1","note":"` + token + `"}`)},
		"a member":            {packagePath + "/manifest.json": "{}", packagePath + "/artifacts/log.txt": "x\n" + token},
		"a file twice":        {".gxp/requirements/a.md": token, ".gxp/requirements/b.md": token},
		"a file not UTF-8":    {reqPath: "\xff\xfe" + token},
		"a signature file":    {packagePath + "/manifest.json": "{}", packagePath + "/signature.jws": token},
		"a file on its own":   {reqPath: token},
		"a broken front part": {reqPath: "---\n" + token},
	} {
		tree := read(t, f.fs(), rosie.Options{})
		reported := fmt.Sprintf("%+v", tree)
		if strings.Contains(reported, token) || len(tree.Faults) == 0 || tree.Faults[0].Code != domain.ViolationSecret {
			t.Errorf("%s: %s", name, reported)
		}
		if name == "a file twice" && len(tree.Faults) != 2 {
			t.Errorf("%s: %v", name, tree.Faults)
		}
		allowed := read(t, f.fs(), rosie.Options{AllowSecrets: true})
		if len(allowed.Faults) != 0 || len(allowed.Contents) == 0 {
			t.Errorf("%s, allowed: %v", name, allowed.Faults)
		}
	}
	evidence := files{jwsPath: jwt(`{"spec_id":"SPEC-1","iat":1516239022,"exp":1900000000}`) + "\n"}
	if tree := read(t, evidence.fs(), rosie.Options{}); len(tree.Faults) != 0 {
		t.Errorf("evidence is refused: %v", tree.Faults)
	}
}

func TestAContentThatIsStoredAlreadyIsNotRefused(t *testing.T) {
	t.Parallel()
	fsys := files{reqPath: "ghp_" + chars(36, lettersAndDigits)}.fs()
	var asked []string
	tree := read(t, fsys, rosie.Options{Stored: func(sha256 string) bool { asked = append(asked, sha256); return true }})
	if len(tree.Faults) != 0 || len(asked) != 1 {
		t.Errorf("faults %v, asked for %v", tree.Faults, asked)
	}
	if tree := read(t, fsys, rosie.Options{Stored: func(string) bool { return false }}); len(tree.Faults) != 1 {
		t.Errorf("faults %v", tree.Faults)
	}
	known := read(t, fsys, rosie.Options{Known: func(path, _, _ string) bool { return path == reqPath }, Stored: func(string) bool { t.Error("an unchanged file was looked through"); return false }})
	if len(known.Faults) != 0 {
		t.Errorf("faults %v", known.Faults)
	}
}

func TestManySecretsAreCountedAndBounded(t *testing.T) {
	t.Parallel()
	fsys := make(fstest.MapFS)
	fsys[contextPath] = &fstest.MapFile{Data: []byte(contextText)}
	for i := range 40 {
		fsys[".gxp/requirements/"+chars(5, hexDigits[i%16:]+"q")+string(rune('a'+i%26))+string(rune('a'+i/26))+".md"] = &fstest.MapFile{Data: []byte(strings.Repeat("ghp_"+chars(36, lettersAndDigits)+"\n", 500))}
	}
	tree := read(t, fsys, rosie.Options{Limits: rosie.Limits{Findings: 100}})
	if last := tree.Faults[len(tree.Faults)-1]; len(tree.Faults) != 101 || !strings.Contains(last.Text, "300 more") {
		t.Errorf("%d faults, the last %+v", len(tree.Faults), last)
	}
}

// Hostile texts must not take longer than others: each of these would with a form that starts again and again.
func BenchmarkFindSecrets(b *testing.B) {
	const size = 1 << 20
	for name, piece := range map[string]string{
		"prose": "The quick brown fox is the only one that risks the dog's sleep, says the spec.\n", "eyJ": "-eyJ", "webtokens": "eyJhbGciOi.", "headers": "-----BEGIN PRIVATE KEY-----\n",
		"keys": "-----BEGIN PRIVATE KEY-----\nab\n", "github": "ghp_", "slack": "xoxb-", "openai": "sk-", "azure": "AccountKey=", "aws": "SecretAccessKey=", "dashes": "-",
		"escaped": `ab\n`, "runs": "hooks.slack.com/services/T0123ABCD/B0123ABCD/x",
	} {
		data := []byte("-----BEGIN PRIVATE KEY-----" + strings.Repeat(piece, size/len(piece)))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				rosie.FindSecrets(data, 10)
			}
		})
	}
}
