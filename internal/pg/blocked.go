package pg

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// firstLook is how long a call takes before the server is asked for whom it waits, and lastLook how often at least.
const (
	firstLook = time.Second
	lastLook  = 30 * time.Second
)

// keyBlocked is the key under which a connection keeps Session.Blocked.
const keyBlocked = "blocked"

// lockHolder is a session of the server that holds a lock which another waits for.
type lockHolder struct {
	pid         uint32 // 0 for a prepared transaction
	application string
	user        string
	since       *time.Time // of its transaction; nil where this user may not see it
}

func (h lockHolder) String() string {
	if h.pid == 0 {
		return "a prepared transaction holds it (see pg_prepared_xacts)"
	}
	text := fmt.Sprintf("session %d holds it, application %q, user %q", h.pid, h.application, h.user)
	if h.since == nil {
		return text + "; since when is not shown to this user (GRANT pg_read_all_stats shows it)"
	}
	return text + ", in a transaction since " + h.since.UTC().Format(time.RFC3339)
}

// lockWatch asks for whom a call waits, over a connection of its own, once it takes long.
type lockWatch struct {
	cancel context.CancelFunc
	asking sync.WaitGroup

	mu   sync.Mutex // guards last
	last string
}

// watchLock watches what is called on conn until end. It returns nil where nobody wants to know.
func watchLock(ctx context.Context, conn *pgx.Conn) *lockWatch {
	tell, _ := conn.PgConn().CustomData()[keyBlocked].(func(string))
	if tell == nil {
		return nil
	}
	w := &lockWatch{}
	ctx, w.cancel = context.WithCancel(ctx)
	w.asking.Go(func() {
		for wait := firstLook; Pause(ctx, wait) == nil; wait = min(2*wait, lastLook) {
			if who, err := findHolder(ctx, conn); err == nil && w.note(who) {
				tell(who)
			}
		}
	})
	return w
}

// note reports whether who is somebody, and news.
func (w *lockWatch) note(who string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if who == "" || who == w.last {
		return false
	}
	w.last = who
	return true
}

// end ends the watch, and adds to an error who was waited for, where a wait was its cause.
func (w *lockWatch) end(ctx context.Context, err error) error {
	if w == nil {
		return err
	}
	w.cancel()
	w.asking.Wait()
	if err == nil || w.last == "" || ctx.Err() == nil && !HasCode(err, CodeLockNotAvailable) {
		return err
	}
	return &blockedError{err, w.last}
}

// findHolder returns who holds the lock that the session of conn waits for, "" for nobody.
func findHolder(ctx context.Context, conn *pgx.Conn) (string, error) {
	config := conn.Config()
	config.RuntimeParams[applicationName] = program + " lock watch"
	asking, err := Connect(ctx, config)
	if err != nil {
		return "", err
	}
	defer func() { _ = asking.Close(context.WithoutCancel(ctx)) }() // it was a look
	var h lockHolder
	err = asking.QueryRow(ctx, `SELECT b.pid::bigint, coalesce(a.application_name, ''), coalesce(a.usename::text, ''), a.xact_start
		FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids($1::int)) AS b (pid) LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid
		ORDER BY a.xact_start NULLS LAST, b.pid LIMIT 1`, int64(conn.PgConn().PID())).Scan(&h.pid, &h.application, &h.user, &h.since)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return h.String(), err
}

// blockedError is an error of a call that waited for a lock.
type blockedError struct {
	err error
	who string
}

func (e *blockedError) Error() string { return e.err.Error() + "; it waited for a lock: " + e.who }

func (e *blockedError) Unwrap() error { return e.err }
