package eventstore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/gxpledger/gxpledger/domain"
)

// The upcasters lead from the form of an earlier version to that of the next. What the earlier version did not record
// stays absent: projections make NULL of it, never 0.

// upcastParsedV1 replaces the test totals of evidence. Readers of that time took a count that they could not read for 0, and
// left single test cases out of what they recorded, so that totals without a failure prove nothing: such results are
// unknown until the file is read again. Totals with a failure stay a failure.
func upcastParsedV1(data []byte) ([]byte, error) {
	if !bytes.Contains(data, []byte(`"evidence"`)) {
		return data, nil // nearly all of a log
	}
	var event map[string]json.RawMessage
	if err := json.Unmarshal(data, &event); err != nil {
		return nil, err
	}
	raw, ok := event["evidence"]
	if !ok || string(raw) == "null" {
		return data, nil
	}
	var evidence map[string]json.RawMessage
	if err := json.Unmarshal(raw, &evidence); err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	var tests *struct {
		Tool       string `json:"tool"`
		Version    string `json:"version"`
		Passed     int    `json:"passed"`
		Failed     int    `json:"failed"`
		Skipped    int    `json:"skipped"`
		DurationMS string `json:"duration_ms"`
	}
	if raw, ok := evidence["tests"]; ok {
		if err := json.Unmarshal(raw, &tests); err != nil {
			return nil, fmt.Errorf("evidence: tests: %w", err)
		}
	}
	results := domain.Results{
		State: domain.ResultsUnknown, Reason: domain.ResultsOlderReader, Detail: "read by an older reader, scan again",
	}
	if tests != nil {
		results.Tool, results.Version, results.DurationMS = tests.Tool, tests.Version, tests.DurationMS
		if tests.Failed > 0 {
			results.State, results.Reason, results.Detail = domain.ResultsKnown, "", ""
			results.Totals = &domain.TestTotals{Passed: tests.Passed, Failed: tests.Failed, Skipped: tests.Skipped}
		}
	}
	delete(evidence, "tests")
	var err error
	if evidence["results"], err = marshal(results); err != nil {
		return nil, err
	}
	if event["evidence"], err = marshal(evidence); err != nil {
		return nil, err
	}
	return marshal(event)
}

// upcastCompletedV1 says which policy on packages without a signature was in force, and groups the links that changed by
// their artifact.
func upcastCompletedV1(data []byte) ([]byte, error) {
	var event map[string]json.RawMessage
	if err := json.Unmarshal(data, &event); err != nil {
		return nil, err
	}
	if err := upcastPolicyV1(event); err != nil {
		return nil, err
	}
	if raw, ok := event["relinked"]; ok {
		grouped, links, err := groupRelinkedV1(raw)
		if err != nil {
			return nil, fmt.Errorf("relinked: %w", err)
		}
		event["relinked"], event["relinked_links"] = grouped, json.RawMessage(strconv.Itoa(links))
	}
	return marshal(event)
}

// groupRelinkedV1 turns one entry for each link, each with all links of its artifact, into one for each artifact. It
// returns how many links there were too.
func groupRelinkedV1(raw json.RawMessage) (json.RawMessage, int, error) {
	var entries []struct {
		domain.Key
		Kind   domain.Kind   `json:"kind"`
		Number int           `json:"number"`
		Index  int           `json:"index"`
		Links  []domain.Link `json:"links"`
	}
	if err := json.Unmarshal(raw, &entries); err != nil {
		return nil, 0, err
	}
	var grouped []domain.ArtifactRelinked
	for _, e := range entries {
		if last := len(grouped) - 1; last >= 0 && grouped[last].Key == e.Key {
			grouped[last].Changed = append(grouped[last].Changed, e.Index)
			continue
		}
		grouped = append(grouped, domain.ArtifactRelinked{
			Key: e.Key, Kind: e.Kind, Number: e.Number, Links: e.Links, Changed: []int{e.Index},
		})
	}
	out, err := marshal(grouped)
	return out, len(entries), err
}

// upcastFailedV1 says which policy on packages without a signature was in force, and how many violations there were: that
// version listed them all.
func upcastFailedV1(data []byte) ([]byte, error) {
	var event map[string]json.RawMessage
	if err := json.Unmarshal(data, &event); err != nil {
		return nil, err
	}
	if err := upcastPolicyV1(event); err != nil {
		return nil, err
	}
	var violations []json.RawMessage
	if raw, ok := event["violations"]; ok {
		if err := json.Unmarshal(raw, &violations); err != nil {
			return nil, fmt.Errorf("violations: %w", err)
		}
	}
	event["violations_total"] = json.RawMessage(strconv.Itoa(len(violations)))
	return marshal(event)
}

// upcastPolicyV1 adds the policy on packages without a signature, which was fixed.
func upcastPolicyV1(event map[string]json.RawMessage) error {
	policy := map[string]json.RawMessage{}
	if raw, ok := event["policy"]; ok {
		if err := json.Unmarshal(raw, &policy); err != nil {
			return fmt.Errorf("policy: %w", err)
		}
	}
	var err error
	if policy["unsigned_packages"], err = marshal(domain.UnsignedInvalid); err != nil {
		return err
	}
	event["policy"], err = marshal(policy)
	return err
}

// marshal is json.Marshal that escapes nothing which JSON does not demand, so that raw parts stay byte for byte as they
// were.
func marshal(v any) (json.RawMessage, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
