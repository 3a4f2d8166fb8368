// Package api is the HTTP interface /v1: what programs in any language ask of a ledger. It is one table of operations, from which the
// handlers, the access rules and the OpenAPI document are made.
//
// Answers are the documents that the commands write with --json: both come from the same code. A problem is answered as RFC 9457 has it.
package api
