package model

import (
	"unicode"
	"unicode/utf8"

	unorm "golang.org/x/text/unicode/norm"
)

// words is the working memory of estimators that read text.
type words struct {
	clean, plain []byte   // a text in lower case, and without accents
	joined       []byte   // its tokens, with a space between
	ends         []int32  // where each token or character begins and ends
	counts       []uint64 // see vectorizer
	compactAt    int
	normal       unorm.Iter
}

// maxKeptText is the largest buffer for text that is kept after a call, in bytes.
const maxKeptText = 1 << 20

func (w *words) reset() {
	if cap(w.clean)+cap(w.plain)+cap(w.joined) > maxKeptText || cap(w.counts)+cap(w.ends) > maxKeptText/8 {
		*w = words{}
	}
}

// lower appends text in lower case as Python's str.lower does. It differs from unicode.ToLower in two letters, of which
// one depends on what is around it.
func lower(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		switch {
		case r == 'Σ' && endsWord(text, i, i+n):
			dst = append(dst, "ς"...)
		case r == 'İ':
			dst = append(dst, "i\u0307"...)
		default:
			dst = utf8.AppendRune(dst, unicode.ToLower(r))
		}
		i += n
	}
	return dst
}

// endsWord reports whether a letter is before text[from:to] and none follows, what is no letter but belongs to words
// left out: the rule Final_Sigma of Unicode's SpecialCasing.
func endsWord(text []byte, from, to int) bool {
	before := false
	for i := from; i > 0; {
		r, n := utf8.DecodeLastRune(text[:i])
		i -= n
		if !caseIgnorable(r) {
			before = cased(r)
			break
		}
	}
	if !before {
		return false
	}
	for i := to; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		i += n
		if !caseIgnorable(r) {
			return !cased(r)
		}
	}
	return true
}

func cased(r rune) bool {
	return unicode.IsLower(r) || unicode.IsUpper(r) || unicode.IsTitle(r) ||
		unicode.In(r, unicode.Other_Lowercase, unicode.Other_Uppercase)
}

func caseIgnorable(r rune) bool {
	switch r {
	case '\'', '.', ':', 0xb7, 0x387, 0x55f, 0x5f4, 0x2018, 0x2019, 0x2024, 0x2027, 0xfe13, 0xfe52, 0xfe55, 0xff07, 0xff0e,
		0xff1a:
		return true
	}
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk)
}

// stripAccents appends text without its accents: what is combined is taken apart, and then marks are left out, or all
// that is not ASCII.
func (w *words) stripAccents(dst, text []byte, ascii bool) []byte {
	plain := true
	for _, c := range text {
		plain = plain && c < utf8.RuneSelf
	}
	if plain {
		return append(dst, text...)
	}
	for w.normal.Init(unorm.NFKD, text); !w.normal.Done(); {
		for part := w.normal.Next(); len(part) > 0; {
			r, n := utf8.DecodeRune(part)
			if ascii && r < utf8.RuneSelf || !ascii && unorm.NFKD.Properties(part).CCC() == 0 {
				dst = append(dst, part[:n]...)
			}
			part = part[n:]
		}
	}
	return dst
}

// isWord reports whether Python's \w matches a character.
func isWord(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_'
	}
	return unicode.IsLetter(r) || unicode.IsNumber(r)
}

// isSpace reports whether Python's \s matches a character.
func isSpace(r rune) bool {
	switch {
	case r >= '\t' && r <= '\r', r >= 0x1c && r <= ' ', r == 0x85, r == 0xa0:
		return true
	case r < 0x1680:
		return false
	}
	return unicode.Is(unicode.Zs, r) || r == 0x2028 || r == 0x2029
}
