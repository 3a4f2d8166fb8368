package recorder

import "github.com/gxpledger/gxpledger/internal/durable"

// SetSync sets what flushes the folders of the spool.
func (c *Config) SetSync(sync durable.Sync) { c.sync = sync }
