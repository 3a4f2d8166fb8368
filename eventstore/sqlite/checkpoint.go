package sqlite

import "context"

// wrote counts what went into the write-ahead log and wakes checkpoints when it is time.
func (l *Log) wrote(size int64) {
	if l.unmoved.Add(size) < l.options.CheckpointBytes {
		return
	}
	select {
	case l.grown <- struct{}{}:
	default: // it is awake
	}
}

// checkpoints moves the write-ahead log into the file whenever it has grown, and once more at the end. A failure loses
// nothing: the write-ahead log goes on to hold what it held, and the next round tries again.
func (l *Log) checkpoints(ctx context.Context) {
	for {
		select {
		case <-l.grown:
			l.unmoved.Store(0)
			_ = l.checkpoint(ctx)
		case <-l.closed:
			_, _ = l.move(ctx, "PASSIVE")
			return
		}
	}
}

// checkpoint moves what it can beside readers and writers. When they leave it no moment to begin the write-ahead log
// again, and that has grown far beyond its size, it makes them wait.
func (l *Log) checkpoint(ctx context.Context) error {
	frames, err := l.move(ctx, "PASSIVE")
	if err != nil || frames*pageSize <= 4*l.options.CheckpointBytes {
		return err
	}
	select {
	case l.writer.turn <- struct{}{}: // SQLite's lock alone would go to the next append again and again
		defer func() { <-l.writer.turn }()
		_, err = l.move(ctx, "RESTART")
		return err
	case <-l.closed:
		return nil
	}
}

// move runs a checkpoint and returns how many pages the write-ahead log holds.
func (l *Log) move(ctx context.Context, mode string) (frames int64, err error) {
	var busy, moved int64
	err = l.aside.QueryRowContext(ctx, "PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &frames, &moved)
	return frames, err
}
