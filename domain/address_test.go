package domain_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
)

func TestCanonicalAddress(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://git.example.com/qa/pumps.git":             "git.example.com/qa/pumps",
		"https://ada:secret@Git.Example.COM:443/qa/pumps/": "git.example.com/qa/pumps",
		"ssh://git@git.example.com:22/qa/pumps.git/":       "git.example.com/qa/pumps",
		"git@git.example.com:qa/pumps.git":                 "git.example.com/qa/pumps",
		"git.example.com:/qa/pumps":                        "git.example.com/qa/pumps",
		"[git.example.com:22]:qa/pumps":                    "git.example.com/qa/pumps",
		"ssh://git.example.com:443/qa/pumps":               "git.example.com:443/qa/pumps",
		"https://git.example.com:7999/qa/pumps":            "git.example.com:7999/qa/pumps",
		"[git.example.com:7999]:qa/pumps.git":              "git.example.com:7999/qa/pumps",
		"https://[2001:DB8::1]/pumps":                      "[2001:db8::1]/pumps",
		"git@[2001:db8::1]:pumps.git":                      "[2001:db8::1]/pumps",
		"https://git.example.com/QA/Pumps":                 "git.example.com/QA/Pumps", // a path has its case
		"https://git.example.com/a%62c":                    "git.example.com/abc",
		"https://git.example.com/a%20b?x=1#y":              "git.example.com/a%20b",
		"https://git.example.com":                          "git.example.com",
		"file:///srv/pumps":                                "/srv/pumps",
		"/srv/pumps.git":                                   "/srv/pumps.git",
		`C:\repositories\pumps`:                            `C:\repositories\pumps`,
		"C:/repositories/pumps":                            "C:/repositories/pumps",
		"pumps":                                            "pumps",
	} {
		if got := domain.CanonicalAddress(address); got != want {
			t.Errorf("CanonicalAddress(%q) is %q, want %q", address, got, want)
		}
	}
}

// Every spelling of an address is one repository, and two addresses that differ in host, port or path are two.
func TestSpellingsOfAnAddressAreOne(t *testing.T) {
	t.Parallel()
	type place struct{ host, port, path string }
	draw := func(t *rapid.T, label string) place {
		return place{
			host: rapid.SampledFrom([]string{"git.example.com", "git.example.org", "h", "[2001:db8::1]"}).Draw(t, label+" host"),
			port: rapid.SampledFrom([]string{"", "22", "443", "7999"}).Draw(t, label+" port"),
			path: rapid.StringMatching(`[a-cA-C]{1,3}(/[a-c.-]{0,3}[a-c])?`).Draw(t, label+" path"),
		}
	}
	spell := func(t *rapid.T, label string, p place) string {
		host := p.host
		if rapid.Bool().Draw(t, label+" upper") {
			host = strings.ToUpper(host)
		}
		end := rapid.SampledFrom([]string{"", "/", ".git", ".git/"}).Draw(t, label+" end")
		user := rapid.SampledFrom([]string{"", "git@", "ada:secret@"}).Draw(t, label+" user")
		forms := []string{"https://" + user + host + ":" + p.port, "ssh://" + user + host + ":" + p.port}
		if p.port == "" {
			forms = []string{"https://" + user + host, "https://" + host + ":443", "ssh://" + user + host, "ssh://" + host + ":22"}
			if user != "ada:secret@" {
				forms = append(forms, user+host+":")
			}
		}
		// 22 of ssh and 443 of https are the usual ports of a place without one.
		forms = append([]string{}, forms...)
		form := rapid.SampledFrom(forms).Draw(t, label+" form")
		if strings.HasSuffix(form, ":") {
			return form + p.path + end
		}
		return form + "/" + p.path + end
	}
	usual := func(address string) bool {
		return strings.HasPrefix(address, "ssh://") && strings.Contains(address, ":22/") || strings.HasPrefix(address, "https://") && strings.Contains(address, ":443/")
	}
	rapid.Check(t, func(t *rapid.T) {
		p, q := draw(t, "one"), draw(t, "other")
		a, b := spell(t, "one", p), spell(t, "other", q)
		same := p.host == q.host && p.path == q.path && (p.port == q.port || (p.port == "" || usual(a)) && (q.port == "" || usual(b)))
		if p.port == q.port && p.port != "" && usual(a) != usual(b) {
			same = false // the port is the usual one of one scheme alone
		}
		if got := domain.CanonicalAddress(a) == domain.CanonicalAddress(b); got != same {
			t.Fatalf("%q is %q and %q is %q: one repository is %t, want %t", a, domain.CanonicalAddress(a), b, domain.CanonicalAddress(b), got, same)
		}
	})
}
