// Package doctor says what is wrong with an installation, and what to do: rules over facts that somebody else found out.
package doctor

import (
	"fmt"
	"slices"
	"time"
)

// State is what a check found.
type State string

// The states. What could not be found out is unknown, never good (I15).
const (
	Good    State = "good"
	Warning State = "warning" // works, and somebody should look at it
	Bad     State = "bad"     // somebody has to do something
	Unknown State = "unknown"
)

// Finding is the result of one check. The JSON names are stable.
type Finding struct {
	Check  string `json:"check"`
	State  State  `json:"state"`
	Text   string `json:"text"`             // one sentence; hostile until neutralised
	Remedy string `json:"remedy,omitempty"` // what to do; "" where nothing is to be done
}

// Healthy reports whether nothing is bad and nothing unknown.
func Healthy(findings []Finding) bool {
	return !slices.ContainsFunc(findings, func(f Finding) bool { return f.State != Good && f.State != Warning })
}

// CannotTell is the finding of a check that could not be made.
func CannotTell(check string, err error, remedy string) Finding {
	return Finding{check, Unknown, err.Error(), remedy}
}

const mib = 1 << 20

// Space judges the free bytes of the file system that a home is on. used is what the log and the tables there take: a rebuild or a backup may
// need as much again.
func Space(home string, free, used uint64) Finding {
	const least, comfortable = 100 * mib, 1024 * mib
	text := fmt.Sprintf("%d MiB are free for %s, which takes %d MiB", free/mib, home, used/mib)
	switch {
	case free < least:
		return Finding{"disk", Bad, text, "make room: a scan that finds none fails"}
	case free < comfortable || free < used:
		return Finding{"disk", Warning, text, "make room: a rebuild or a backup may need as much again"}
	}
	return Finding{"disk", Good, text, ""}
}

// Access judges who else may use the files of a home: who could change one, and who could read one.
func Access(home string, writable, readable []string) Finding {
	switch {
	case len(writable) > 0:
		return Finding{"rights", Bad, writable[0] + more(len(writable)), "let its owner alone write the home: chown and chmod -R go-rwx " + home}
	case len(readable) > 0:
		return Finding{"rights", Warning, readable[0] + " can be read by other users" + more(len(readable)), "if they should not, chmod -R go-rwx " + home}
	}
	return Finding{"rights", Good, "only its owner can read and write " + home, ""}
}

func more(n int) string {
	if n > 1 {
		return fmt.Sprintf(" (and %d more)", n-1)
	}
	return ""
}

// MostSkew is how far two clocks may differ without a word.
const MostSkew = time.Minute

// Clock judges the clock of this machine against that of the database, the zero time where the log's clock is this one, and against the time of the last event,
// zero where there is none.
func Clock(now, database, last time.Time) Finding {
	const remedy = "synchronise the clocks: scans are recorded with the time of the log"
	if skew := now.Sub(database).Abs(); !database.IsZero() && skew > MostSkew {
		return Finding{"clock", Bad, fmt.Sprintf("the clock here is at %s, that of the database at %s", stamp(now), stamp(database)), remedy}
	}
	if last.Sub(now) > MostSkew {
		return Finding{"clock", Bad, fmt.Sprintf("the last event was recorded at %s, and the clock here is at %s", stamp(last), stamp(now)), remedy}
	}
	text := "the clock here is not behind the last event"
	if !database.IsZero() {
		text = "the clocks of this machine and of the database agree"
	}
	return Finding{"clock", Good, text, ""}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Guards judges what was found of the triggers and rights that keep the log append-only.
func Guards(faults []string) Finding {
	if len(faults) > 0 {
		return Finding{
			"guards", Bad, faults[0] + more(len(faults)),
			"find out who changed it and what was done meanwhile; run gxpledger verify, and restore the last backup that verifies",
		}
	}
	return Finding{"guards", Good, "what keeps the log append-only is as gxpledger made it", ""}
}

// Schema judges how far a schema is against this program.
func Schema(what string, applied, missing int, rolesReady bool, problems []string) Finding { //revive:disable-line:flag-parameter // a fact
	check := "schema of the " + what
	switch {
	case missing > 0:
		return Finding{check, Bad, fmt.Sprintf("the schema of the %s lacks %d of %d migrations that this gxpledger knows", what, missing, applied+missing), "run gxpledger migrate up as an administrator"}
	case !rolesReady:
		return Finding{check, Bad, "a role of the " + what + " does not exist or lacks rights", "run gxpledger migrate up as an administrator"}
	case len(problems) > 0:
		return Finding{check, Warning, problems[0] + more(len(problems)), "see gxpledger migrate status"}
	}
	return Finding{check, Good, fmt.Sprintf("the schema of the %s is the one that this gxpledger knows (%d migrations)", what, applied), ""}
}

// Spool judges the failures of scans that wait for a log: how many, and since when the oldest.
func Spool(waiting int, oldest time.Time) Finding {
	if waiting > 0 {
		return Finding{
			"spool", Warning, fmt.Sprintf("%d failures of scans wait to be recorded, the oldest since %s", waiting, stamp(oldest)),
			"scan with this home and the log that they are for: the next scan that reaches it records them",
		}
	}
	return Finding{"spool", Good, "no failure of a scan waits to be recorded", ""}
}

// Verified judges the last verification in the background: when it ended, zero for never, and what it found.
func Verified(now, at time.Time, faults, unknown int) Finding {
	const month = 30 * 24 * time.Hour
	switch {
	case at.IsZero():
		return Finding{"verification", Warning, "no verification in the background has ended in this home", "run gxpledger verify, or gxpledger projections run --verify-every 24h"}
	case faults > 0:
		return Finding{"verification", Bad, fmt.Sprintf("the last verification, at %s, found %d faults", stamp(at), faults), "run gxpledger verify: it names each and what to do"}
	case unknown > 0:
		return Finding{"verification", Unknown, fmt.Sprintf("the last verification, at %s, could not make %d checks", stamp(at), unknown), "run gxpledger verify: it names each and what to do"}
	case now.Sub(at) > month:
		return Finding{"verification", Warning, "the last verification ended at " + stamp(at), "run gxpledger verify, or gxpledger projections run --verify-every 24h"}
	}
	return Finding{"verification", Good, "the last verification, at " + stamp(at) + ", found no faults", ""}
}

// Keys judges the evidence keys: how many are in force, and how many were revoked.
func Keys(inForce, revoked int) Finding {
	if inForce == 0 {
		return Finding{"keys", Warning, "no evidence key is in force, so that no signature is verified", "run gxpledger keys trust FILE --name NAME --reason TEXT"}
	}
	return Finding{"keys", Good, fmt.Sprintf("evidence keys in force: %d, revoked: %d", inForce, revoked), ""}
}

// Projection is what is known of one projection.
type Projection struct {
	Name, State string
	Lag         uint64
	Retrying    string // what fails and is tried again; "" for nothing
}

// Projections judges the projections.
func Projections(all []Projection) []Finding {
	var out []Finding
	for _, p := range all {
		f := Finding{"projection " + p.Name, Unknown, "the projection " + p.Name + " is " + p.State, "see gxpledger projections status"}
		switch p.State {
		case "live", "catching-up":
			f.State, f.Remedy = Good, ""
			if p.State == "catching-up" {
				f.Text += fmt.Sprintf(", %d positions behind the log", p.Lag)
			}
		case "paused":
			f.State, f.Remedy = Warning, "run gxpledger projections resume "+p.Name+" --reason TEXT when the reason for the pause is gone"
		case "absent":
			f.State, f.Remedy = Warning, "any command that reads tables makes them"
		case "stalled", "faulted", "mismatched":
			f.State = Bad
		}
		if p.Retrying != "" && f.State == Good {
			f.State, f.Text, f.Remedy = Warning, f.Text+"; tried again: "+p.Retrying, "see gxpledger projections status"
		}
		out = append(out, f)
	}
	return out
}
