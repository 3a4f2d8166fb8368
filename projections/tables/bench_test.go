package tables_test

import (
	"fmt"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	. "github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// BenchmarkApply measures Apply alone, on decoded events: pages of 1,000 artifacts with a link each, as a first scan records
// them ("stories") and of signed packages ("evidence").
func BenchmarkApply(b *testing.B) {
	stories, evidence := []domain.File{Requirement("REQ-001", "text")}, chain()
	for i := range 1000 {
		story := UserStory(fmt.Sprintf("US-%03d", i), "REQ-001")
		story.Artifacts[0].Fields = []byte(`{"gxp_id":"US-001","title":"Title","acceptance_criteria":["one","two"]}`)
		story.Artifacts[0].Status = &domain.Term{Raw: "DRAFT", Normal: "draft"}
		stories = append(stories, story)
		packed := evidencePackage(fmt.Sprintf("PKG-%03d", i))
		packed.Path = fmt.Sprintf("%s-%03d", packagePath, i)
		packed.Artifacts[0].Path = packed.Path
		evidence = append(evidence, packed)
	}
	for _, page := range []struct {
		name string
		log  []projections.Event
	}{{"stories", given(b, tree(stories...)).log}, {"evidence", given(b, tree(evidence...)).log}} {
		for _, p := range tables.All() {
			b.Run(page.name+"/"+p.Name, func(b *testing.B) {
				var rows projections.Rows
				log := handled(p, page.log)
				b.ReportAllocs()
				for b.Loop() {
					rows.Reset()
					if err := p.Apply(log, &rows); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(len(log))*float64(b.N)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}
