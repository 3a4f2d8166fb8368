// Package rosie reads the file formats of a .gxp/ directory, as ROSIE RFC-001 and GxP.MD describe them and as they
// really occur, into the artifacts of package domain.
//
//	.gxp/system_context.md                      system context    front matter
//	.gxp/requirements/**.md                     requirement       front matter
//	.gxp/user_stories/**.md                     user story        front matter
//	.gxp/specs/**.md                            spec              front matter
//	.gxp/adr/**.md                              ADR               headings
//	.gxp/vendor_assessments/**.md               vendor assessment front matter
//	.gxp/risk_assessment.log                    risk log          pipe lines or "## RISK-NNN" blocks
//	.gxp/evidence/**.jws                        evidence          one compact JWS, or the manifest of a release
//	.gxp/evidence/**.md                         evidence record   front matter with a result; any other is ignored
//	.gxp/evidence/**/ with a manifest inside    evidence package  a directory that is one artifact
//
// [Read] takes a tree from an [io/fs.FS], so that it works alike on git objects and on files. It accepts a superset
// of the dialects; what deviates becomes a finding, and only what cannot be parsed is rejected, with line and column. What
// is read in which dialect is written down in docs/formats.md.
//
// Whatever the tree holds is hostile and stays data (I13): nothing is followed, fetched or run, every size is bounded
// by [Limits], YAML is parsed to plain nodes without anchors, aliases, tags or conversions, and signatures are verified
// by the operator's keys alone. Text is kept as it was written; whoever shows it neutralises it.
package rosie
