package invisible_test

import (
	"testing"
	"unicode"

	"github.com/gxpledger/gxpledger/domain/invisible"
)

func TestIs(t *testing.T) {
	t.Parallel()
	for _, r := range []rune{
		0, 0x1b, 0x7f, 0x85, 0xad, 0x34f, 0x61c, 0x115f, 0x1160, 0x17b4, 0x180b, 0x180e, 0x180f, 0x200b, 0x200c, 0x200d, 0x200e, 0x2028, 0x2029,
		0x202e, 0x2060, 0x2064, 0x2066, 0x206f, 0x2800, 0x3164, 0xfe00, 0xfe0f, 0xfeff, 0xffa0, 0xfff9, 0xfffc, 0xe000, 0x1bca0, 0x1d159,
		0x1d173, 0x13430, 0x13441, 0xe0001, 0xe0041, 0xe007f, 0xe0100, 0xe01ef, 0x0378, 0x10ffff,
	} {
		if !invisible.Is(r) {
			t.Errorf("%U shows, by the list", r)
		}
	}
	for _, r := range "aZ09-_ ~é\u0301ßあ監한ע\u05b0عक्ไ่😀→✓\u00a0\u3000\ufffd\u0488" {
		if invisible.Is(r) {
			t.Errorf("%U (%c) does not show, by the list", r, r)
		}
	}
}

// Written apart from the code: every code point that Unicode's derivation of Default_Ignorable_Code_Point gives (DerivedCoreProperties.txt:
// other default-ignorable, format characters and variation selectors, less white space, the annotation characters, the Egyptian
// format controls and the prepended signs) is in the list, and no letter, number or punctuation is that is not.
func TestEveryDefaultIgnorableCodePointIsInvisible(t *testing.T) {
	t.Parallel()
	ignorable := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		derived := unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Cf, unicode.Variation_Selector) &&
			!unicode.In(r, unicode.White_Space, unicode.Prepended_Concatenation_Mark) &&
			(r < 0xfff9 || r > 0xfffb) && (r < 0x13430 || r > 0x13440)
		if derived {
			ignorable++
			if !invisible.Is(r) {
				t.Errorf("%U is ignored by default and not in the list", r)
			}
			continue
		}
		if unicode.In(r, unicode.N, unicode.P) && invisible.Is(r) {
			t.Errorf("%U is a number or punctuation and in the list", r)
		}
	}
	if ignorable < 4000 { // 4174 in Unicode 15
		t.Errorf("only %d code points are ignored by default", ignorable)
	}
}
