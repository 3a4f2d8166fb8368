package recorder_test

import (
	"fmt"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	. "github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/eventstore"
)

// Links that lead elsewhere cost what the artifacts that declare them say once: no event of the batch repeats another, and
// none comes near the limit, however many requirements are renamed at once.
func TestRenamedTargetsCostEachArtifactItsLinksOnce(t *testing.T) {
	t.Parallel()
	const requirements = 980
	for _, stories := range []int{1, 6} {
		t.Run(fmt.Sprint(stories), func(t *testing.T) {
			t.Parallel()
			tree := func(folder string) []domain.File {
				var files []domain.File
				var links []domain.Link
				for i := range requirements {
					f := Requirement(fmt.Sprintf("REQ-%04d", i), "something")
					f.Path = folder + f.Artifacts[0].Path
					f.Artifacts[0].Path = f.Path
					files = append(files, f)
					links = append(links, domain.Link{Edge: domain.EdgeSatisfies, Target: f.Artifacts[0].GxPID})
				}
				for i := range stories {
					id := fmt.Sprintf("US-%d", i)
					files = append(files, File(domain.KindUserStory, ".gxp/user_stories/"+id+".md", id, "everything", links...))
				}
				return files
			}
			decision := GivenScanned(t, tree("")).When(Scan(domain.DefaultPolicy(), tree("renamed/")...))
			if err := decision.Err(); err != nil {
				t.Fatal(err)
			}
			relinked, whole := 0, 0
			for _, e := range decision.Events() {
				_, data, err := eventstore.Encode(e)
				if err != nil {
					t.Fatal(err)
				}
				whole += len(data)
				if r, ok := e.(domain.ArtifactRelinked); ok {
					relinked += len(r.Changed)
				}
				if len(data) > 200<<10 {
					t.Errorf("%T has %d bytes", e, len(data))
				}
			}
			if relinked != stories*requirements {
				t.Errorf("%d links lead elsewhere, want %d", relinked, stories*requirements)
			}
			if most := (2*requirements + 100*stories) * 1 << 10; whole > most {
				t.Errorf("the batch has %d bytes, want at most %d", whole, most)
			}
		})
	}
}
