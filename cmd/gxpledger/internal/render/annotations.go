package render

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger"
)

// Annotations writes the problems of a check for a program that shows them beside the lines they are about. The formats are github (workflow
// commands), gitlab (a report of code quality), sarif (version 2.1.0) and junit. version is that of this program.
func Annotations(w io.Writer, format string, r gxpledger.CheckReport, version string) error {
	switch format {
	case "github":
		return annotateGitHub(w, r)
	case "gitlab":
		return Document(w, codeQuality(r))
	case "sarif":
		return Document(w, sarif(r, version))
	case "junit":
		return annotateJUnit(w, r)
	default:
		return fmt.Errorf("there is no format %q", format)
	}
}

// annotateGitHub writes workflow commands (docs.github.com, "Workflow commands for GitHub Actions"). What they hold is escaped: a line
// break would begin a command of its own.
func annotateGitHub(w io.Writer, r gxpledger.CheckReport) error {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	for _, p := range r.Problems {
		at := ""
		if p.Path != "" {
			at = "file=" + property.Replace(Text(p.Path)) + ","
		}
		if p.Line > 0 {
			at += fmt.Sprintf("line=%d,", p.Line)
		}
		if _, err := fmt.Fprintf(w, "::%s %stitle=%s::%s\n", p.Severity, at, property.Replace("gxpledger "+p.Code), data.Replace(Text(p.Text))); err != nil {
			return err
		}
	}
	return nil
}

// quality is an issue of GitLab's report of code quality (docs.gitlab.com, "Code quality report format").
type quality struct {
	Description string `json:"description"`
	CheckName   string `json:"check_name"`
	Fingerprint string `json:"fingerprint"`
	Severity    string `json:"severity"`
	Location    struct {
		Path  string `json:"path"`
		Lines struct {
			Begin int `json:"begin"`
		} `json:"lines"`
	} `json:"location"`
}

func codeQuality(r gxpledger.CheckReport) []quality {
	issues := make([]quality, 0, len(r.Problems))
	for _, p := range r.Problems {
		q := quality{Description: p.Text, CheckName: p.Code, Severity: "minor", Fingerprint: fingerprint(p)}
		if p.Severity == gxpledger.SeverityError {
			q.Severity = "major"
		}
		q.Location.Path, q.Location.Lines.Begin = p.Path, max(p.Line, 1)
		issues = append(issues, q)
	}
	return issues
}

// fingerprint tells problems apart, wherever their lines have moved.
func fingerprint(p gxpledger.Problem) string {
	sum := sha256.Sum256([]byte(p.Code + "\x00" + p.Path + "\x00" + p.Text))
	return hex.EncodeToString(sum[:])
}

// The part of SARIF 2.1.0 (OASIS) that is written.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool struct {
			Driver sarifDriver `json:"driver"`
		} `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID string `json:"id"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID              string            `json:"ruleId"`
		Level               string            `json:"level"`
		Message             sarifText         `json:"message"`
		Locations           []sarifLocation   `json:"locations,omitempty"`
		PartialFingerprints map[string]string `json:"partialFingerprints"`
	}
	sarifLocation struct {
		PhysicalLocation struct {
			ArtifactLocation struct {
				URI       string `json:"uri"`
				URIBaseID string `json:"uriBaseId"`
			} `json:"artifactLocation"`
			Region *sarifRegion `json:"region,omitempty"`
		} `json:"physicalLocation"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
)

func sarif(r gxpledger.CheckReport, version string) sarifLog {
	noLinks := strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`) // a message may hold links (SARIF 2.1.0, 3.11.6)
	run := sarifRun{Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "gxpledger", Version: version, Rules: []sarifRule{}}
	for _, p := range r.Problems {
		if rule := (sarifRule{p.Code}); !slices.Contains(run.Tool.Driver.Rules, rule) {
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, rule)
		}
		result := sarifResult{
			RuleID: p.Code, Level: string(p.Severity), Message: sarifText{noLinks.Replace(p.Text)}, PartialFingerprints: map[string]string{"problem/v1": fingerprint(p)},
		}
		if p.Path != "" {
			var at sarifLocation
			at.PhysicalLocation.ArtifactLocation.URI = (&url.URL{Path: p.Path}).EscapedPath()
			at.PhysicalLocation.ArtifactLocation.URIBaseID = "%SRCROOT%"
			if p.Line > 0 {
				at.PhysicalLocation.Region = &sarifRegion{p.Line}
			}
			result.Locations = []sarifLocation{at}
		}
		run.Results = append(run.Results, result)
	}
	return sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}}
}

// The part of the format of JUnit that is written. Each problem is a test case, and each error a failed one.
type (
	junitSuite struct {
		XMLName  xml.Name    `xml:"testsuite"`
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		File    string        `xml:"file,attr,omitempty"`
		Line    int           `xml:"line,attr,omitempty"`
		Failure *junitFailure `xml:"failure"`
		Output  string        `xml:"system-out,omitempty"`
	}
	junitFailure struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
	}
)

func annotateJUnit(w io.Writer, r gxpledger.CheckReport) error {
	suite := junitSuite{Name: "gxpledger check", Failures: r.Errors()}
	for _, p := range r.Problems {
		c := junitCase{Name: p.Code + " " + place(p), Class: p.Path, File: p.Path, Line: p.Line}
		if p.Severity == gxpledger.SeverityError {
			c.Failure = &junitFailure{Type: p.Code, Message: p.Text}
		} else {
			c.Output = p.Text
		}
		suite.Cases = append(suite.Cases, c)
	}
	if len(suite.Cases) == 0 {
		suite.Cases = []junitCase{{Name: "no problem", Class: "gxpledger"}}
	}
	suite.Tests = len(suite.Cases)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(suite); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
