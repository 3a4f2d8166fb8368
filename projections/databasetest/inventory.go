package databasetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
)

// ErrBadEvent is what the inventory says of an action named fail.
var ErrBadEvent = errors.New("action cannot be folded")

// Inventory is a small projection with every kind of table, column and operation: boxes that hold items, and a list of moves
// that is never changed. The events are admin actions: the action says what to do.
func Inventory() projections.Projection {
	return projections.Projection{
		Name: "inventory", Version: 1, Handles: []domain.Event{domain.AdminActed{}}, Apply: applyInventory,
		Tables: []projections.Table{
			{
				Name: "boxes", Doc: "Boxes that are there now.", Key: []string{"number"},
				Columns: []projections.Column{
					{Name: "number", Type: projections.Integer, Doc: "Number of the box."},
					{Name: "label", Type: projections.Text, Null: true, Doc: "What is written on it."},
					{Name: "open", Type: projections.Boolean, Doc: "Whether it is open."},
					{Name: "since", Type: projections.Timestamp, Doc: "When it was put there."},
					{Name: "detail", Type: projections.JSON, Null: true, Doc: "Anything else."},
				},
				Indexes: []projections.Index{{Columns: []string{"label"}}},
			},
			{
				Name: "items", Doc: "What is in the boxes.", Key: []string{"box", "slot"},
				Columns: []projections.Column{
					{Name: "box", Type: projections.Integer, Doc: "The box."},
					{Name: "slot", Type: projections.Text, Doc: "The place in it."},
					{Name: "name", Type: projections.Text, Doc: "What it is."},
				},
				Foreign: []projections.ForeignKey{{Columns: []string{"box"}, Table: "boxes", Targets: []string{"number"}}},
			},
			{
				Name: "moves", Doc: "Everything that happened.", Key: []string{"position"}, AppendOnly: true,
				Columns: []projections.Column{
					{Name: "position", Type: projections.Integer, Doc: "Of the event."},
					{Name: "actor", Type: projections.Text, Doc: "Who did it."},
					{Name: "action", Type: projections.Text, Doc: "What was done."},
				},
			},
		},
	}
}

func applyInventory(page []projections.Event, rows *projections.Rows) error {
	for _, e := range page {
		action, ok := e.Event.(domain.AdminActed)
		if !ok {
			return fmt.Errorf("not an admin action: %T", e.Event)
		}
		if err := applyAction(e, action, rows); err != nil {
			return err
		}
		rows.Insert("moves", int64(e.Position), e.Meta.Actor, action.Action)
	}
	return nil
}

func applyAction(e projections.Event, action domain.AdminActed, rows *projections.Rows) error {
	box, err := strconv.Atoi(action.Target)
	if err != nil {
		return err
	}
	arg := action.Arguments
	switch action.Action {
	case "box":
		var detail any
		if arg["label"] != "" {
			text, err := json.Marshal(arg)
			if err != nil {
				return err
			}
			detail = json.RawMessage(text)
		}
		rows.Upsert("boxes", box, nil, true, e.RecordedAt, detail)
	case "label":
		rows.Update("boxes", []any{box}, []string{"label", "open"}, arg["label"], false)
	case "put":
		rows.Upsert("items", box, arg["slot"], arg["name"])
	case "take":
		rows.Delete("items", box, arg["slot"])
	case "clear":
		rows.Delete("items", box)
	case "drop":
		rows.Delete("items", box)
		rows.Delete("boxes", box)
	case "fail":
		return ErrBadEvent
	case "panic":
		panic("no such thing")
	}
	return nil
}

// Action returns an admin action on a box. Pairs are names and values of its arguments.
func Action(action string, box int, pairs ...string) domain.Event {
	arguments := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		arguments[pairs[i]] = pairs[i+1]
	}
	return domain.AdminActed{ID: "x", Action: action, Target: strconv.Itoa(box), Arguments: arguments, Actor: "ann", Outcome: "succeeded"}
}

// Batch returns events as one batch of the stream of the engine.
func Batch(events ...domain.Event) projectionstest.Batch {
	return projectionstest.Batch{Stream: eventstore.EngineStream, Actor: "ann", Events: events}
}

// mover draws what a inventory can fold, and remembers which boxes are there.
type mover map[int]bool

func (boxes mover) step(t *rapid.T) domain.Event {
	number := rapid.IntRange(1, 5)
	word := rapid.StringMatching(`[a-zäöü ]{0,8}`)
	slot := rapid.SampledFrom([]string{"left", "right", "top"})
	n := number.Draw(t, "box")
	if !boxes[n] {
		boxes[n] = true
		return Action("box", n, "label", word.Draw(t, "label"))
	}
	switch rapid.IntRange(0, 6).Draw(t, "step") {
	case 0:
		return Action("box", n, "label", word.Draw(t, "label"))
	case 1:
		return Action("label", n, "label", word.Draw(t, "label"))
	case 2, 3:
		return Action("put", n, "slot", slot.Draw(t, "slot"), "name", word.Draw(t, "name"))
	case 4:
		return Action("take", n, "slot", slot.Draw(t, "slot"))
	case 5:
		return Action("clear", n)
	default:
		boxes[n] = false
		return Action("drop", n)
	}
}

func (boxes mover) batch(t *rapid.T) projectionstest.Batch {
	if rapid.IntRange(0, 4).Draw(t, "foreign") == 0 { // an event that nobody handles
		return projectionstest.Batch{Events: []domain.Event{domain.RepositoryRegistered{}}}
	}
	var events []domain.Event
	for range rapid.IntRange(1, 6).Draw(t, "size") {
		events = append(events, boxes.step(t))
	}
	return Batch(events...)
}

// History draws batches that a inventory can fold.
func History(t *rapid.T) []projectionstest.Batch {
	boxes := mover{}
	var batches []projectionstest.Batch
	for range rapid.IntRange(0, 15).Draw(t, "batches") {
		batches = append(batches, boxes.batch(t))
	}
	return batches
}

// edition is the inventory of a version: each writes down otherwise what happened.
func edition(version int) projections.Projection {
	p := Inventory()
	p.Version = version
	p.Apply = func(page []projections.Event, rows *projections.Rows) error {
		for _, e := range page {
			a, ok := e.Event.(domain.AdminActed)
			if !ok {
				return fmt.Errorf("not an admin action: %T", e.Event)
			}
			if err := applyAction(e, a, rows); err != nil {
				return err
			}
			rows.Insert("moves", int64(e.Position), e.Meta.Actor, fmt.Sprintf("%s, as version %d has it", a.Action, version))
		}
		return nil
	}
	return p
}
