package domain_test

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	. "github.com/gxpledger/gxpledger/domain/domaintest"
)

// What is decided of light artifacts is what is decided of whole ones, and so is what the state remembers.
func TestPropertyLightArtifactsAreDecidedAsWholeOnes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		policy := rapid.SampledFrom([]domain.Policy{domain.DefaultPolicy(), Flag()}).Draw(t, "policy")
		var state domain.State
		if before, err := domain.Decide(state, Scan(Flag(), DrawTree(t)...)); err == nil {
			state = domain.Fold(state, before...)
		}
		whole := DrawTree(t)
		light := make([]domain.File, len(whole))
		read := map[domain.Key]domain.Artifact{}
		for i, f := range whole {
			light[i] = f
			light[i].Artifacts = nil
			for _, a := range f.Artifacts {
				if a.Evidence != nil && a.Evidence.Signature.Verdict == domain.VerdictValid {
					a.Evidence.Signature.Fingerprint = rapid.SampledFrom([]string{"k1", "k2"}).Draw(t, "key")
				}
				read[a.Key] = a
				light[i].Artifacts = append(light[i].Artifacts, a.Light())
			}
		}
		want, wantErr := domain.Decide(state.Clone(), Scan(policy, whole...))
		got, gotErr := domain.Decide(state.Clone(), Scan(policy, light...))
		if !reflect.DeepEqual(gotErr, wantErr) {
			t.Fatalf("error is %v, want %v", gotErr, wantErr)
		}
		if folded, want := domain.Fold(state.Clone(), got...), domain.Fold(state.Clone(), want...); !reflect.DeepEqual(folded, want) {
			t.Fatalf("state is\n %+v\nwant\n %+v", folded, want)
		}
		for i, e := range got {
			if parsed, ok := e.(domain.ArtifactParsed); ok {
				got[i] = parsed.Whole(read[parsed.Key])
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("events are\n %+v\nwant\n %+v", got, want)
		}
	})
}

func TestLightArtifactsAreLight(t *testing.T) {
	t.Parallel()
	whole := Package("EV-1", "SPEC-1", domain.VerdictValid, domain.VerdictValid, domain.VerdictValid, domain.VerdictValid).Artifacts[0]
	whole.Title, whole.Fields = "a title", []byte(`{"a":"b"}`)
	whole.Evidence.Signature.Reason = "a reason"
	light := whole.Light()
	if light.Title != "" || light.Fields != nil || light.Members != nil || light.Evidence.Signature.Reason != "" {
		t.Errorf("light form is %+v", light)
	}
}
