package verify

import (
	"maps"
	"slices"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// keyHistory is the evidence keys as the stream "engine" says, after each event about one.
type keyHistory struct {
	now domain.Keys
	at  map[int64]domain.Keys // by the revision of that event
}

// checkKeys compares an event about a key with those before it, and the keys that a scan used with those that were in force.
func (v *verifier) checkKeys(s *streamCheck, r eventstore.Record, event domain.Event) []string {
	var d differences
	if e, ok := event.(domain.KeyTrusted); ok {
		want(&d, "actor", e.Actor, r.Meta.Actor)
		want(&d, "reason", e.Reason, r.Meta.Reason)
		_, err := domain.TrustKey(v.keys.now, e)
		v.keys.take(&d, r, e, err)
	}
	if e, ok := event.(domain.KeyRevoked); ok {
		want(&d, "actor", e.Actor, r.Meta.Actor)
		want(&d, "reason", e.Reason, r.Meta.Reason)
		if known := v.keys.now.Find(e.Fingerprint); known != nil {
			want(&d, "name of the key", e.Name, known.Trusted.Name)
		}
		_, err := domain.RevokeKey(v.keys.now, e)
		v.keys.take(&d, r, e, err)
	}
	if e, ok := event.(domain.ScanCompleted); ok {
		v.checkScanKeys(&d, s, e.Settings)
		s.keepKeysRevision(&d, e.Settings) // a failure may be recorded long after it read the keys
	}
	if e, ok := event.(domain.ScanFailed); ok {
		v.checkScanKeys(&d, s, e.Settings)
	}
	return d
}

// keepKeysRevision compares the keys of a completed scan with those of the ones before it.
func (s *streamCheck) keepKeysRevision(d *differences, used *domain.Settings) {
	if used == nil || used.KeysRevision == nil {
		return
	}
	if at := *used.KeysRevision; at < s.keysRevision {
		d.add("revision of the keys is %d, and a completed scan before it used %d", at, s.keysRevision)
		return
	}
	s.keysRevision = *used.KeysRevision
}

// take notes the keys after an event, which err says does not follow from those before it.
func (h *keyHistory) take(d *differences, r eventstore.Record, event domain.Event, err error) {
	if err != nil {
		d.add("%s", err.Error())
	}
	if h.at == nil {
		h.at = map[int64]domain.Keys{}
	}
	h.now = domain.EvolveKeys(h.now, event)
	h.at[int64(r.Revision)] = h.now //nolint:gosec // of an event that was read
}

// checkScanKeys compares the keys of a scan with those that were in force at the revision that it names.
func (v *verifier) checkScanKeys(d *differences, s *streamCheck, used *domain.Settings) {
	if used == nil {
		return // they were not recorded
	}
	if engine := v.streams[eventstore.EngineStream]; v.skipped || engine != nil && engine.lost {
		return // what that holds about keys is unknown
	}
	var keys domain.Keys
	if at := used.KeysRevision; at != nil {
		var known bool
		if keys, known = v.keys.at[*at]; !known {
			d.add("revision of the keys is %d, where no event about a key is recorded before the scan", *at)
			return
		}
		checkUsedKeys(d, used, keys.InForce())
	}
	for _, key := range slices.Sorted(maps.Keys(s.batch.revokedSigners)) {
		if k := keys.Find(key); k == nil || k.Revoked == nil {
			d.add("evidence is recorded as signed with a revoked key, and the key %s was not revoked", key)
		}
	}
}

// checkUsedKeys compares the keys that a scan used with those in force: it uses these, and others where they were given for it alone.
func checkUsedKeys(d *differences, used *domain.Settings, inForce []string) {
	for _, key := range inForce {
		if !slices.Contains(used.Keys, key) {
			d.add("the key %s was in force and not used", key)
		}
	}
	for _, key := range used.Keys {
		if !slices.Contains(inForce, key) && !slices.Contains(used.Overrides, "keys") {
			d.add("the key %s was used and not in force", key)
		}
	}
}
