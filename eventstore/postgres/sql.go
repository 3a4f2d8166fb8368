package postgres

import (
	"strings"

	"github.com/jackc/pgx/v5"
)

// statements are the statements of the log, with the schema filled in. They rely on no search_path.
type statements struct {
	identify string

	lock    string
	head    string
	ends    string
	findIDs string

	addContents string
	addStreams  string
	addBatches  string
	addEvents   string
	moveHead    string

	batchesForward        string
	batchesBackward       string
	streamBatchesForward  string
	streamBatchesBackward string
	eventsForward         string
	eventsBackward        string
	countEvents           string

	content       string
	heldContents  string
	contentHashes string
	loadSnapshot  string
	saveSnapshot  string
}

const batchColumns = `SELECT b.first, b.size, s.name, b.revision, b.recorded_at, b.meta
	FROM @.batches AS b JOIN @.streams AS s ON s.id = b.stream`

// eventsOf reads the events of the ranges $1[i] to $2[i], of the types $3 where that is not null.
//
// The planner cannot know how few positions there are in a range. The limit, which is never reached, keeps it from walking
// through the whole log instead of looking for each range in the index, which it would do with a join in a long log.
const eventsOf = `SELECT e.position, e.id, e.type, e.data, e.checksum
	FROM unnest($1::bigint[], $2::bigint[]) AS r (lo, hi) CROSS JOIN LATERAL (
		SELECT i.position, i.id, i.type, i.data, i.checksum FROM @.events AS i
		WHERE i.position BETWEEN r.lo AND r.hi ORDER BY i.position LIMIT r.hi - r.lo + 1) AS e
	WHERE $3::text[] IS NULL OR e.type = ANY ($3)`

func newStatements(schema string) statements {
	in := strings.NewReplacer("@", pgx.Identifier{schema}.Sanitize()).Replace
	return statements{
		identify: in(`SELECT l.id, pg_catalog.current_setting('fsync') = 'on', h.position,
			coalesce((SELECT e.position FROM @.events AS e ORDER BY e.position DESC LIMIT 1), 0) FROM @.log AS l, @.head AS h`),

		lock: in(`SELECT position, recorded_at, streams FROM @.head FOR UPDATE`),
		head: in(`SELECT position FROM @.head`),
		ends: in(`SELECT s.name, s.id, (SELECT b.revision + b.size FROM @.batches AS b WHERE b.stream = s.id ORDER BY b.revision DESC LIMIT 1)
			FROM @.streams AS s WHERE s.name = ANY ($1)`),
		// Each id for itself: of a list, the planner hopes to meet the first soon by walking in the order of positions.
		findIDs: in(`SELECT e.id, e.position FROM unnest($1::uuid[]) AS w (id) CROSS JOIN LATERAL (
			SELECT i.id, i.position FROM @.events AS i WHERE i.id = w.id LIMIT 1) AS e ORDER BY e.position LIMIT 1`),

		// A content that is there is the same content. Nothing else ignores a conflict.
		addContents: in(`INSERT INTO @.contents (sha256, size, encoding, bytes)
			SELECT t.sha256, t.size, t.encoding, t.bytes
			FROM unnest($1::bytea[], $2::bigint[], $3::smallint[], $4::bytea[]) AS t (sha256, size, encoding, bytes) ON CONFLICT (sha256) DO NOTHING`),
		addStreams: in(`INSERT INTO @.streams (id, name)
			SELECT t.id, t.name FROM unnest($1::bigint[], $2::text[]) AS t (id, name)`),
		addBatches: in(`INSERT INTO @.batches (first, size, stream, revision, recorded_at, meta)
			SELECT t.first, t.size, t.stream, t.revision, t.recorded_at, t.meta
			FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::bigint[], $5::timestamptz[], $6::text[])
				AS t (first, size, stream, revision, recorded_at, meta)`),
		addEvents: in(`INSERT INTO @.events (position, id, type, data, checksum)
			SELECT t.position, t.id, t.type, t.data, t.checksum
			FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::bytea[], $5::bytea[]) AS t (position, id, type, data, checksum)`),
		moveHead: in(`UPDATE @.head SET position = $1, recorded_at = $2, streams = $3`),

		batchesForward: in(batchColumns + ` WHERE b.first >= coalesce((SELECT o.first FROM @.batches AS o
			WHERE o.first <= $1 ORDER BY o.first DESC LIMIT 1), 0) AND b.first <= $2 ORDER BY b.first LIMIT $3`),
		batchesBackward: in(batchColumns + ` WHERE b.first <= least($1::bigint, $2::bigint) ORDER BY b.first DESC LIMIT $3`),
		streamBatchesForward: in(batchColumns + ` WHERE b.stream = (SELECT id FROM @.streams WHERE name = $4)
			AND b.revision >= coalesce((SELECT o.revision FROM @.batches AS o WHERE o.stream = (SELECT id FROM @.streams WHERE name = $4)
				AND o.revision <= $1 ORDER BY o.revision DESC LIMIT 1), 0)
			AND b.first <= $2 ORDER BY b.revision LIMIT $3`),
		streamBatchesBackward: in(batchColumns + ` WHERE b.stream = (SELECT id FROM @.streams WHERE name = $4)
			AND b.revision <= $1 AND b.first <= $2 ORDER BY b.revision DESC LIMIT $3`),
		eventsForward:  in(eventsOf + ` ORDER BY e.position`),
		eventsBackward: in(eventsOf + ` ORDER BY e.position DESC`),
		countEvents: in(`SELECT count(*) FROM unnest($1::bigint[], $2::bigint[]) AS r (lo, hi) CROSS JOIN LATERAL (
			SELECT FROM @.events AS i WHERE i.position BETWEEN r.lo AND r.hi ORDER BY i.position LIMIT r.hi - r.lo + 1) AS e`),

		content:       in(`SELECT size, encoding, bytes FROM @.contents WHERE sha256 = $1`),
		heldContents:  in(`SELECT sha256 FROM @.contents WHERE sha256 = ANY ($1)`),
		contentHashes: in(`SELECT sha256 FROM @.contents WHERE sha256 > $1 ORDER BY sha256 LIMIT $2`),
		loadSnapshot:  in(`SELECT revision, event_id, version, data FROM @.snapshots WHERE stream = $1`),
		saveSnapshot: in(`INSERT INTO @.snapshots (stream, revision, event_id, version, data) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (stream) DO UPDATE SET revision = excluded.revision, event_id = excluded.event_id,
				version = excluded.version, data = excluded.data`),
	}
}
