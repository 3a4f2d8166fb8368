package cli_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestServeTellsMetricsOfItsClientsAndOfScans(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.scan(newRepo(t).commit("x")).wantCode(0)
	s := d.serve("--metrics", "127.0.0.1:0", "--json")
	var listening struct {
		Listening string `json:"listening"`
		Metrics   string `json:"metrics"`
	}
	line, err := s.screen.ReadString('\n')
	if err != nil || json.Unmarshal([]byte(s.line), &listening) != nil || json.Unmarshal([]byte(line), &listening) != nil {
		t.Fatalf("%v: %s%s", err, s.line, line)
	}
	client := dial(t, "esdb://"+listening.Listening+"?tls=false")
	if err := appendEvent(t, client, "repository-x"); err == nil {
		t.Fatal("a client wrote to the stream of a repository")
	}
	want := []string{
		"gxp_serve_connections 1\n", `gxp_serve_refusals_total{what="append"} 1`, `,code="PermissionDenied"`, "gxp_spool_failures 0\n",
		`gxp_scans_total{outcome="completed",repository="demo"`, "gxp_repositories 1\n", "gxp_build_info{",
	}
	ctx := within(t)
	for missing := "all"; missing != ""; { // metrics of scans follow the log by themselves
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listening.Metrics+"/metrics", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatalf("without %s: %v", missing, err)
		}
		body, err := io.ReadAll(response.Body)
		if err := response.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		missing = ""
		for _, each := range want {
			if !strings.Contains(strings.NewReplacer(`{code=`, `{,code=`).Replace(string(body)), each) {
				missing = each
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	s.refused(1)
	for args, part := range map[string]string{"nohost": "want HOST:PORT", "0.0.0.0:0": "can be reached from other machines"} {
		if got := d.run("serve", "--esdb", "127.0.0.1:0", "--metrics", args).wantCode(2); !strings.Contains(got.stderr, part) {
			t.Errorf("%s: %s", args, got.stderr)
		}
	}
}
