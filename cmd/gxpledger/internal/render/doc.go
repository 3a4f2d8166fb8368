// Package render is the only door to a terminal, and to a program that reads our output.
//
// Text from a repository, a log or another machine is hostile until it has passed [Text] (I13): a title may hold escape
// sequences that move the cursor, characters that turn the reading direction around, or line ends that forge a line.
// [Screen] passes every argument and cell through it, so that nothing has to be remembered. [Document] and [Line] write
// JSON with the raw values, in which the same characters are escaped.
package render
