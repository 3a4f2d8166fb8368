package sqlitefault

// FindCause is findCause with another access.
func FindCause(path string, writes bool, access func(path string, write bool) error) error {
	return findCause(path, writes, access)
}
