// Package targets has what a relay sends to: webhooks, NATS JetStream, Redis streams and Kafka.
//
// Each sends CloudEvents in structured mode. None keeps a message that was not acknowledged to send it later: after an unknown
// outcome the connection is closed, and the relay sends the same message again, over a new one.
//
// Watermill's publishers are not used. Their Publish has no context, so that no deadline ends it; the one of HTTP knows no 410 and no
// Retry-After and follows redirects, that of Redis closes a client that others share, the experimental one of JetStream sets no
// message id, and that of Kafka waits for one broker only unless it is configured otherwise.
package targets
