package trace_test

import (
	"fmt"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/trace"
)

// A requirement changed after the user story that leads to it, and no spec leads to the story.
func Example() {
	artifact := func(kind domain.Kind, number int64, id string, changed int64) trace.Artifact {
		return trace.Artifact{Cell: trace.Cell{Kind: kind, Number: number, GxPID: id, Path: id + ".md"}, LastChanged: changed}
	}
	graph := trace.New([]trace.Artifact{
		artifact(domain.KindRequirement, 1, "REQ-1", 4),
		artifact(domain.KindUserStory, 2, "US-1", 3),
	}, []trace.Link{
		{Number: 2, Edge: "parent_id", Target: "REQ-1", State: trace.LinkResolved, ToNumber: 1},
	})
	for _, a := range graph.Artifacts() {
		fmt.Println(a.Name(), "is", a.State.Words())
		for _, r := range a.Reasons {
			fmt.Println("  because", r.Text)
		}
	}
	fmt.Printf("requirements covered: %+v\n", graph.Gaps().Coverage.Requirements)
	// Output:
	// REQ-1 is transitive
	//   because below it, US-1 is missing
	// US-1 is missing
	//   because no spec leads to it
	//   because REQ-1 is newer: it is of scan 4, this of scan 3
	// requirements covered: {Covered:1 Total:1}
}

// Compare tells what differs between two versions of an artifact, field by field.
func ExampleCompare() {
	before := trace.Version{Number: 1, Kind: domain.KindRequirement, Fields: []byte(`{"title":"Log in","acceptance_criteria":["a","b"]}`)}
	after := trace.Version{Number: 1, Kind: domain.KindRequirement, Fields: []byte(`{"title":"Sign in","acceptance_criteria":["b"]}`)}
	changes, _ := trace.Compare(&before, &after)
	for _, c := range changes {
		fmt.Println(c.Op, c.Path, string(c.Old), string(c.New))
	}
	// Output:
	// changed title "Log in" "Sign in"
	// removed acceptance_criteria[1] "a"
}
