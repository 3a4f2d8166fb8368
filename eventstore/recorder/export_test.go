package recorder

import "github.com/gxpledger/gxpledger/internal/durable"

// WithSync returns the config with what flushes the folders of the spool.
func (c Config) WithSync(sync durable.Sync) Config {
	c.sync = sync
	return c
}
