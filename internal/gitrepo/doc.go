// Package gitrepo reads one revision of a git repository as data, and nothing else.
//
// It opens the object store of a local repository, bare or not, or fetches one revision over https or ssh into a
// temporary place. Nothing in a repository can make it run a program, follow a symbolic link or an alternate object
// directory, enter a submodule, write, or hold more in memory than the limits here allow (I13): there is no work tree,
// no hook, no filter, and of the configuration only the object format and the origin's URL are looked at.
//
// Every object is checked against its id while it is read, so that what is recorded under a blob id is that blob.
//
//	Locate   finds the repository and its name      no object is read
//	Open     opens one revision of it               Revision.Files, Revision.Source
package gitrepo
