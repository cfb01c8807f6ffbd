package model

import (
	_ "embed"
	"strings"
	"unicode/utf8"

	"github.com/weirhq/weir/service/pickle"
)

// englishWords are the stop words that scikit-learn calls "english", from the Glasgow Information Retrieval Group:
// http://ir.dcs.gla.ac.uk/resources/linguistic_utils/stop_words
//
//go:embed stopwords_english.txt
var englishWords string

// analyzer cuts a text into terms: words, or runs of n of them, or runs of n characters.
type analyzer struct {
	lowercase         bool
	accents           string // "", "ascii" or "unicode"
	kind              string // "word", "char" or "char_wb"
	tokens            *tokenizer
	stopWords         map[string]struct{}
	shortest, longest int // n
}

// maxRun caps the n of terms, which bounds the work for a text by its length.
const maxRun = 16

func (a attrs) analyzer() (*analyzer, error) {
	z := &analyzer{kind: a.text("analyzer")}
	for _, name := range []string{"preprocessor", "tokenizer"} {
		if a.o.Attrs[name] != nil {
			return nil, a.errorf(name, "functions of your own are not supported: leave it out")
		}
	}
	if z.kind != "word" && z.kind != "char" && z.kind != "char_wb" {
		return nil, a.errorf("analyzer", "want word, char or char_wb; functions of your own are not supported")
	}
	if input := a.text("input"); input != "content" {
		return nil, a.errorf("input", "want content, not %.40q: a request has texts, no files", input)
	}
	var err error
	if z.lowercase, err = a.flag("lowercase"); err != nil {
		return nil, err
	}
	if v := a.o.Attrs["strip_accents"]; v != nil {
		if z.accents = a.text("strip_accents"); z.accents != "ascii" && z.accents != "unicode" {
			return nil, a.errorf("strip_accents", "want None, ascii or unicode; functions of your own are not supported")
		}
	}
	pair, err := a.sequence("ngram_range")
	if err != nil {
		return nil, err
	}
	for i, v := range pair {
		n, err := pickle.Int(v)
		if err != nil || len(pair) != 2 || n < max(1, z.shortest) || n > maxRun {
			return nil, a.errorf("ngram_range", "want two numbers from 1 to %d", maxRun)
		}
		if z.longest = n; i == 0 {
			z.shortest = n
		}
	}
	if z.kind != "word" {
		return z, nil
	}
	if z.tokens, err = newTokenizer(a.text("token_pattern")); err != nil {
		return nil, a.errorf("token_pattern", "%w", err)
	}
	z.stopWords, err = a.stopWords()
	return z, err
}

// stopWords reads stop_words: None, "english" or a list.
func (a attrs) stopWords() (map[string]struct{}, error) {
	v := a.o.Attrs["stop_words"]
	if v == nil {
		return nil, nil
	}
	out := map[string]struct{}{}
	if v == "english" {
		for word := range strings.FieldsSeq(englishWords) {
			out[word] = struct{}{}
		}
		return out, nil
	}
	items, err := pickle.Sequence(v)
	if arr, isArray := pickle.ArrayOf(v); isArray == nil {
		items, err = a.values("stop_words", arr)
	}
	if err != nil {
		return nil, a.errorf("stop_words", "want None, english or a list of words")
	}
	for _, item := range items {
		word, err := pickle.Scalar(item)
		text, ok := word.(string)
		if err != nil || !ok {
			return nil, a.errorf("stop_words", "want words only")
		}
		out[text] = struct{}{}
	}
	return out, nil
}

// clean returns a text in lower case and without accents, as far as the analyzer is to do that.
func (z *analyzer) clean(text []byte, w *words) []byte {
	if z.lowercase {
		w.clean = lower(w.clean[:0], text)
		text = w.clean
	}
	if z.accents != "" {
		w.plain = w.stripAccents(w.plain[:0], text, z.accents == "ascii")
		text = w.plain
	}
	return text
}

// terms hands each term of a text to v.
func (z *analyzer) terms(text []byte, v *vectorizer, w *words) {
	text = z.clean(text, w)
	switch z.kind {
	case "word":
		z.wordTerms(text, v, w)
	case "char":
		z.charTerms(oneSpace(text, w), v, w)
	default:
		z.boundedTerms(text, v, w)
	}
}

// wordTerms hands on runs of words, with a space between.
func (z *analyzer) wordTerms(text []byte, v *vectorizer, w *words) {
	w.ends = z.tokens.split(text, w.ends[:0])
	w.joined = w.joined[:0]
	count := 0
	for i := 0; i < len(w.ends); i += 2 {
		word := text[w.ends[i]:w.ends[i+1]]
		if _, stop := z.stopWords[string(word)]; stop {
			continue
		}
		if z.longest == 1 {
			v.count(word, w)
			continue
		}
		if count > 0 {
			w.joined = append(w.joined, ' ')
		}
		w.ends[2*count] = int32(len(w.joined)) // never past what is read
		w.joined = append(w.joined, word...)
		w.ends[2*count+1] = int32(len(w.joined))
		count++
	}
	for n := z.shortest; n <= z.longest; n++ {
		for i := 0; i+n <= count; i++ {
			v.count(w.joined[w.ends[2*i]:w.ends[2*(i+n)-1]], w)
		}
	}
}

// oneSpace puts a space in the place of two and more.
func oneSpace(text []byte, w *words) []byte {
	w.joined = w.joined[:0]
	for i := 0; i < len(text); {
		end, count := i, 0
		for end < len(text) {
			r, n := utf8.DecodeRune(text[end:])
			if !isSpace(r) {
				break
			}
			end += n
			count++
		}
		switch count {
		case 0:
			_, n := utf8.DecodeRune(text[i:])
			end = i + n
			fallthrough
		case 1:
			w.joined = append(w.joined, text[i:end]...)
		default:
			w.joined = append(w.joined, ' ')
		}
		i = end
	}
	return w.joined
}

// charTerms hands on runs of characters.
func (z *analyzer) charTerms(text []byte, v *vectorizer, w *words) {
	w.starts(text)
	count := len(w.ends) - 1
	for n := z.shortest; n <= min(z.longest, count); n++ {
		for i := 0; i+n <= count; i++ {
			v.count(text[w.ends[i]:w.ends[i+n]], w)
		}
	}
}

// starts sets ends to where each character begins, and to the end of text.
func (w *words) starts(text []byte) {
	w.ends = w.ends[:0]
	for i := 0; i < len(text); {
		w.ends = append(w.ends, int32(i))
		_, n := utf8.DecodeRune(text[i:])
		i += n
	}
	w.ends = append(w.ends, int32(len(text)))
}

// boundedTerms hands on runs of characters within words, each with a space before and behind. A word that is shorter
// than a run counts once.
func (z *analyzer) boundedTerms(text []byte, v *vectorizer, w *words) {
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if isSpace(r) {
			i += n
			continue
		}
		w.joined = append(w.joined[:0], ' ')
		for i < len(text) {
			if r, n = utf8.DecodeRune(text[i:]); isSpace(r) {
				break
			}
			w.joined = append(w.joined, text[i:i+n]...)
			i += n
		}
		w.joined = append(w.joined, ' ')
		w.starts(w.joined)
		count := len(w.ends) - 1
		for n := z.shortest; n <= z.longest; n++ {
			for i := 0; i+n <= count; i++ {
				v.count(w.joined[w.ends[i]:w.ends[i+n]], w)
			}
			if n >= count {
				if n > count {
					v.count(w.joined, w)
				}
				break
			}
		}
	}
}
