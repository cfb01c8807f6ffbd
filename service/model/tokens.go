package model

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// tokenizer finds the tokens of a text: runs of characters of one class, or what an expression matches.
type tokenizer struct {
	is         func(rune) bool // the class
	least      int             // characters of a run
	from, to   bool            // a run starts, or ends, where a word does
	expression *regexp.Regexp
}

// defaultPattern is scikit-learn's: words of two and more characters.
const defaultPattern = `(?u)\b\w\w+\b`

// newTokenizer reads one of Python's regular expressions. Those that Go would read in another way are refused.
//
// Python's \w, \d and \s are about all of Unicode: they are written out as classes. \b has no counterpart; it is only
// known around a run of one class.
func newTokenizer(pattern string) (*tokenizer, error) {
	if pattern == defaultPattern {
		return &tokenizer{is: isWord, least: 2, from: true, to: true}, nil
	}
	rest, from := strings.CutPrefix(strings.TrimPrefix(pattern, "(?u)"), `\b`)
	to := strings.HasSuffix(rest, `\b`) && !strings.HasSuffix(rest, `\\b`)
	rest = strings.TrimSuffix(rest, `\b`)
	translated, err := translate(rest)
	if err != nil {
		return nil, fmt.Errorf("%.60q: %w", pattern, err)
	}
	re, err := syntax.Parse(translated, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("%.60q is not supported: %w", pattern, err)
	}
	if class, least := run(re); class != nil {
		is := func(r rune) bool { return inClass(class, r) }
		return &tokenizer{is: is, least: least, from: from, to: to}, nil
	}
	if from || to {
		return nil, fmt.Errorf(`%.60q is not supported: \b is, around letters that are all of one class`, pattern)
	}
	e, err := regexp.Compile(translated)
	if err != nil || e.NumSubexp() > 1 || e.MatchString("") {
		return nil, fmt.Errorf("%.60q is not supported: want at most one group, and no match of nothing", pattern)
	}
	return &tokenizer{expression: e}, nil
}

// run returns the class and the least length if an expression is a run of at least one character of a class.
func run(re *syntax.Regexp) (class []rune, least int) {
	parts := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		parts = re.Sub
	}
	for i, p := range parts {
		n, open := 1, false
		switch {
		case p.Op == syntax.OpPlus && p.Flags&syntax.NonGreedy == 0:
			p, open = p.Sub[0], true
		case p.Op == syntax.OpStar && p.Flags&syntax.NonGreedy == 0:
			p, n, open = p.Sub[0], 0, true
		case p.Op == syntax.OpRepeat && p.Max < 0 && p.Flags&syntax.NonGreedy == 0:
			n, p, open = p.Min, p.Sub[0], true
		}
		if p.Op != syntax.OpCharClass || i > 0 && !slices.Equal(p.Rune, class) || open != (i == len(parts)-1) {
			return nil, 0
		}
		class = p.Rune
		least += n
	}
	if least == 0 {
		return nil, 0
	}
	return class, least
}

// inClass reports whether a class, a list of first and last characters in order, has r.
func inClass(class []rune, r rune) bool {
	i, found := slices.BinarySearch(class, r)
	return found || i%2 != 0
}

// classes are Python's classes as ranges within brackets.
var classes = map[byte]string{}

func init() { //nolint:gochecknoinits // made once from tables
	for letter, is := range map[byte]func(rune) bool{'w': isWord, 's': isSpace, 'd': func(r rune) bool { return unicode.Is(unicode.Nd, r) }} {
		classes[letter] = ranges(is)
		classes[letter-'a'+'A'] = ranges(func(r rune) bool { return !is(r) })
	}
}

func ranges(is func(rune) bool) string {
	var b strings.Builder
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !is(r) {
			continue
		}
		first := r
		for r < unicode.MaxRune && is(r+1) {
			r++
		}
		fmt.Fprintf(&b, `\x{%x}-\x{%x}`, first, r)
	}
	return b.String()
}

// translate writes one of Python's expressions in Go's syntax.
func translate(pattern string) (string, error) {
	var b strings.Builder
	inside := false
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		switch {
		case c == '\\' && i+1 < len(pattern):
			i++
			text, err := escaped(pattern[i], inside)
			if err != nil {
				return "", err
			}
			b.WriteString(text)
			continue
		case c == '[' && inside:
			return "", errors.New(`a bracket within brackets is not supported: write it as \[`)
		case c == '[':
			inside = true
			for _, first := range []string{"^", "]"} { // a bracket that comes first is a character
				if strings.HasPrefix(pattern[i+1:], first) {
					b.WriteByte(pattern[i])
					i++
				}
			}
			c = pattern[i]
		case c == ']':
			inside = false
		case !inside && (c == '^' || c == '$'):
			return "", fmt.Errorf("%q is not supported", c)
		case !inside && strings.HasPrefix(pattern[i:], "(?") && !strings.HasPrefix(pattern[i:], "(?:"):
			return "", fmt.Errorf("%.4q is not supported", pattern[i:])
		case !inside && strings.HasPrefix(pattern[i:], "{,"):
			return "", errors.New(`"{," is not supported: write {0,`)
		}
		b.WriteByte(c)
	}
	return b.String(), nil
}

// escaped writes what stands behind a backslash.
func escaped(c byte, inside bool) (string, error) {
	class, ok := classes[c]
	switch {
	case ok && inside:
		return class, nil
	case ok:
		return "[" + class + "]", nil
	case c < utf8.RuneSelf && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') &&
		!strings.ContainsRune("ntrfv", rune(c)):
		return "", fmt.Errorf(`\%c is not supported`, c)
	}
	return `\` + string(c), nil
}

// split appends to ends where each token of text begins and ends.
func (t *tokenizer) split(text []byte, ends []int32) []int32 {
	if t.expression != nil {
		return t.matches(text, ends)
	}
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if !t.is(r) {
			i += n
			continue
		}
		end := i + n
		count := 1
		for end < len(text) {
			r, n := utf8.DecodeRune(text[end:])
			if !t.is(r) {
				break
			}
			end += n
			count++
		}
		ends = t.run(text, i, end, count, ends)
		i = end
	}
	return ends
}

// run adds what of a run of count characters is a token. The class may be narrower or wider than that of words: then
// it starts or ends within.
func (t *tokenizer) run(text []byte, from, to, count int, ends []int32) []int32 {
	for count >= t.least {
		if t.from && !border(text, from) {
			_, n := utf8.DecodeRune(text[from:])
			from += n
			count--
			continue
		}
		end, left := to, count
		for t.to && left >= t.least && !border(text, end) {
			_, n := utf8.DecodeLastRune(text[:end])
			end -= n
			left--
		}
		if left >= t.least {
			ends = append(ends, int32(from), int32(end))
			from, count = end, count-left
			continue
		}
		_, n := utf8.DecodeRune(text[from:])
		from += n
		count--
	}
	return ends
}

// border reports whether a word begins or ends at text[i].
func border(text []byte, i int) bool {
	before, _ := utf8.DecodeLastRune(text[:i])
	after, _ := utf8.DecodeRune(text[i:])
	return (i > 0 && isWord(before)) != (i < len(text) && isWord(after))
}

func (t *tokenizer) matches(text []byte, ends []int32) []int32 {
	group := 2 * t.expression.NumSubexp()
	for _, m := range t.expression.FindAllSubmatchIndex(text, -1) {
		if m[group] < 0 { // the group has no part in the match: Python gives an empty text
			m[group], m[group+1] = m[0], m[0]
		}
		ends = append(ends, int32(m[group]), int32(m[group+1]))
	}
	return ends
}
