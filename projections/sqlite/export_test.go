package sqlite

// WithDriver makes Open use a driver of package database/sql.
func WithDriver(o Options, name string) Options {
	o.driver = name
	return o
}

// Translate gives errors the meaning that package projections defines.
func Translate(err error) error { return translate(err) }
