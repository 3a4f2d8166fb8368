package projections

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Check returns ErrRefused unless value, as [Rows] take it, is one that c holds. Every database asks it first, so that all
// refuse the same: their own checks would let some values through in another form, and a NUL is not refused by all.
func (c Column) Check(value any) error {
	if value == nil {
		if !c.Null {
			return c.refuse("NULL is not allowed")
		}
		return nil
	}
	switch c.Type {
	case Text:
		if v, ok := value.(string); ok {
			return c.checkText(v)
		}
	case Integer:
		switch v := value.(type) {
		case int64:
			return c.checkInteger(v)
		case int:
			return c.checkInteger(int64(v))
		}
	case Boolean:
		if _, ok := value.(bool); ok {
			return nil
		}
	case Timestamp:
		if v, ok := value.(time.Time); ok {
			return c.checkTime(v)
		}
	case JSON:
		switch v := value.(type) {
		case json.RawMessage:
			return c.checkJSON(v)
		case []byte:
			return c.checkJSON(v)
		}
	}
	return c.refuse("a %T is not a value of its type", value)
}

func (c Column) refuse(format string, args ...any) error {
	return fmt.Errorf("%w: column %s: %s", ErrRefused, c.Name, fmt.Sprintf(format, args...))
}

func (c Column) checkText(text string) error {
	switch {
	case !utf8.ValidString(text):
		return c.refuse("text is not UTF-8")
	case strings.IndexByte(text, 0) >= 0:
		return c.refuse("text holds the character NUL, which not every database can hold")
	case c.OneOf != nil && !slices.Contains(c.OneOf, text):
		return c.refuse("%q is none of %q", text, c.OneOf)
	}
	return nil
}

func (c Column) checkInteger(n int64) error {
	if c.AtLeast != nil && n < *c.AtLeast {
		return c.refuse("%d is less than %d", n, *c.AtLeast)
	}
	return nil
}

func (c Column) checkTime(t time.Time) error {
	if y := t.UTC().Year(); y < 0 || y > 9999 {
		return c.refuse("year %d does not fit", y)
	}
	return nil
}

func (c Column) checkJSON(document []byte) error {
	switch {
	case len(document) == 0:
		return c.refuse("an empty text is not JSON")
	case !utf8.Valid(document):
		return c.refuse("JSON is not UTF-8")
	case bytes.IndexByte(document, 0) >= 0:
		return c.refuse("JSON holds the character NUL, which not every database can hold")
	}
	return nil
}
