// Package invisible knows the characters that do not show. Two texts that differ in them alone look equal, so an id with
// one gets a finding, and whatever prints text escapes them. The list is made from Unicode's data in package unicode.
package invisible

import "unicode"

// Is reports whether r does not show: controls, line and paragraph separators, format characters, code points that are
// ignored by default (Unicode chapter 5.21), letters and symbols without a shape, and code points without a character.
// Blanks, which show as a gap, are not in it. Of the format characters a few Arabic and Indic signs show; they are rare in
// ids, and in the list.
func Is(r rune) bool {
	return !unicode.IsGraphic(r) || blank(r) || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// blank reports characters that Unicode counts as letters, marks or symbols and whose glyph is empty. No property names
// them; these are the ones whose name or description says so.
func blank(r rune) bool {
	switch r {
	case 0x2800, // braille pattern blank
		0xfffc,           // object replacement character
		0x16fe4,          // Khitan small script filler
		0x13441, 0x13442, // Egyptian hieroglyph full blank and half blank
		0x1107f, // Brahmi number joiner
		0x1d159: // musical symbol null notehead
		return true
	}
	return false
}

// Blank reports whether r is white space of any kind, the line ends included.
func Blank(r rune) bool { return unicode.In(r, unicode.White_Space) }
