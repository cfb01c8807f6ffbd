package model_test

import (
	"strings"
	"testing"

	"github.com/weirhq/weir/service/model"
)

// dict is a dict of keys and values, which are pickled already.
func dict(entries ...string) string { return "}(" + strings.Join(entries, "") + "u" }

// objects is an array of objects.
func objects(v ...string) string {
	empty := global("numpy.core.multiarray", "_reconstruct") + tuple(global("numpy", "ndarray"), "K\x00\x85", "C\x01b") + "R"
	list := "](" + strings.Join(v, "") + "e"
	return empty + tuple("K\x01", integer(len(v))+"\x85", simple("O8"), "\x89", list) + "b"
}

func TestRefusesTextEstimatorsThatLie(t *testing.T) {
	settings := map[string]string{
		"analyzer": text("word"), "input": text("content"), "lowercase": "\x88", "ngram_range": tuple(integer(1), integer(1)),
		"token_pattern": text(`(?u)\b\w\w+\b`), "binary": "\x89", "vocabulary_": dict(text("a"), integer(0)), "n_features": integer(8),
		"alternate_sign": "\x88",
	}
	vectorizer := func(class string, changes ...string) string {
		var state []string
		for name, v := range settings {
			for i := 0; i < len(changes); i += 2 {
				if changes[i] == name {
					v = changes[i+1]
				}
			}
			if v != "" {
				state = append(state, name, v)
			}
		}
		for i := 0; i < len(changes); i += 2 {
			if _, ok := settings[changes[i]]; !ok {
				state = append(state, changes[i], changes[i+1])
			}
		}
		return object("sklearn.feature_extraction.text", class, state...)
	}
	count := func(changes ...string) string { return vectorizer("CountVectorizer", changes...) }
	onehot := func(categories string, state ...string) string {
		return object("sklearn.preprocessing._encoders", "OneHotEncoder", append([]string{
			"categories_", "](" + categories + "e", "handle_unknown", text("ignore"), "drop_idx_", "N",
		}, state...)...)
	}
	two := objects(text("a"), text("b"))
	imputer := func(statistics, mark string) string {
		return object("sklearn.impute._base", "SimpleImputer", "statistics_", statistics, "missing_values", mark,
			"n_features_in_", integer(1), "strategy", text("constant"))
	}
	tests := []struct{ name, data, want string }{
		{"column beyond the vocabulary", count("vocabulary_", dict(text("a"), integer(1))), "from 0 to 0"},
		{"negative column", count("vocabulary_", dict(text("a"), integer(-1))), "from 0 to 0"},
		{"column twice", count("vocabulary_", dict(text("a"), integer(0), text("b"), integer(0))), "twice"},
		{"term twice", count("vocabulary_", dict(text("a"), integer(0), text("a"), integer(1))), "twice"},
		{"term that is no text", count("vocabulary_", dict(integer(1), integer(0))), "for each term"},
		{"column that is no number", count("vocabulary_", dict(text("a"), text("0"))), "for each term"},
		{"no terms", count("vocabulary_", "}"), "0 terms"},
		{"no dict", count("vocabulary_", "]"), "want a dict"},
		{"not fitted", count("vocabulary_", ""), "was the estimator fitted"},
		{"runs that shrink", count("ngram_range", tuple(integer(3), integer(2))), "ngram_range"},
		{"runs of nothing", count("ngram_range", tuple(integer(0), integer(2))), "ngram_range"},
		{"long runs", count("ngram_range", tuple(integer(1), integer(1000))), "ngram_range"},
		{"three numbers", count("ngram_range", tuple(integer(1), integer(1), integer(1))), "ngram_range"},
		{"own analyzer", count("analyzer", global("builtins", "len")), "functions of your own"},
		{"own tokenizer", count("tokenizer", global("builtins", "len")), "CountVectorizer.tokenizer: functions of your own"},
		{"own preprocessor", count("preprocessor", global("builtins", "len")), "CountVectorizer.preprocessor: functions of your own"},
		{"own accents", count("strip_accents", global("builtins", "len")), "strip_accents"},
		{"files", count("input", text("filename")), "a request has texts, no files"},
		{"stop words of numbers", count("stop_words", "]("+integer(1)+"e"), "words only"},
		{"unknown stop words", count("stop_words", text("german")), "english or a list"},
		{"look-ahead", count("token_pattern", text(`\w+(?=x)`)), `token_pattern: "\\w+(?=x)": "(?=x" is not supported`},
		{"look-behind of a word", count("token_pattern", text(`a\bb`)), `\b is not supported`},
		{"word border of two classes", count("token_pattern", text(`\b[a-z]\w+\b`)), `\b is, around letters`},
		{"back reference", count("token_pattern", text(`(a)\1`)), `\1 is not supported`},
		{"empty match", count("token_pattern", text(`\w*`)), "no match of nothing"},
		{"two groups", count("token_pattern", text(`(a)(b)`)), "at most one group"},
		{"broken expression", count("token_pattern", text(`[a`)), "not supported"},
		{"huge repetition", count("token_pattern", text(`(a{900}){900}`)), "not supported"},
		{"too many features", vectorizer("HashingVectorizer", "n_features", integer(1<<21)), "want 1 to"},
		{"no features", vectorizer("HashingVectorizer", "n_features", integer(0)), "want 1 to"},
		{"norm", vectorizer("HashingVectorizer", "norm", text("max")), "want None, l1 or l2"},
		{
			"weights of others", vectorizer("TfidfVectorizer", "_tfidf", object("sklearn.feature_extraction.text", "TfidfTransformer",
				"norm", text("l2"), "sublinear_tf", "\x89", "use_idf", "\x88", "idf_", vector(1, 2))), "2 numbers for 1 terms",
		},
		{"category of a dict", onehot(objects("}")), "column 0: place 0"},
		{"category of a list", onehot(objects(text("a"), "]")), "place 1"},
		{"category twice", onehot(objects(text("a"), text("a"))), "place 1"},
		{"number twice", onehot(objects(integer(1), "\x88")), "1 is there twice"},
		{"None twice", onehot(objects("N", "N")), "place 1"},
		{"no categories", onehot(objects()), "has none"},
		{"matrix of categories", onehot(matrix(1, 2, 1, 2)), "has none"},
		{"groups of others", onehot(two, "_infrequent_enabled", "\x88", "_default_to_infrequent_mappings", "]("+labels(0, 2)+"e"), "places from 0 to 1"},
		{"negative groups", onehot(two, "_infrequent_enabled", "\x88", "_default_to_infrequent_mappings", "]("+labels(0, -1)+"e"), "places from 0 to 1"},
		{"too many groups", onehot(two, "_infrequent_enabled", "\x88", "_default_to_infrequent_mappings", "]("+labels(0, 0, 0)+"e"), "a place for each"},
		{"groups of no column", onehot(two, "_infrequent_enabled", "\x88", "_default_to_infrequent_mappings", "]"), "one for each column"},
		{"dropped out of range", onehot(two, "_drop_idx_after_grouping", objects(integer(2))), "want a place of column 0"},
		{"dropped below 0", onehot(two, "_drop_idx_after_grouping", objects(integer(-1))), "want a place of column 0"},
		{"statistic of a list", imputer(objects("]"), "G\x7f\xf8\x00\x00\x00\x00\x00\x00"), "column 0"},
		{"mark of a list", imputer(objects(text("a")), "]"), "missing_values"},
		{
			"targets of others", object("sklearn.preprocessing._target_encoder", "TargetEncoder", "categories_", "]("+two+"e",
				"target_mean_", "G\x3f\xf0\x00\x00\x00\x00\x00\x00", "target_type_", text("binary"), "encodings_", "]("+vector(1, 2, 3)+"e"),
			"a number for each category",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := model.Load([]byte("\x80\x04" + tt.data + "."))
			if err == nil {
				t.Fatalf("loaded %v", m)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q: want %q in it", err, tt.want)
			}
		})
	}
	for _, honest := range []string{count(), vectorizer("HashingVectorizer"), onehot(two), imputer(objects(text("a")), "N")} {
		if _, err := model.Load([]byte("\x80\x04" + honest + ".")); err != nil {
			t.Errorf("an honest one: %v", err)
		}
	}
}

// TestRefusesWideTransformersRepeated has many wide transformers side by side: small in the file, large in memory.
func TestRefusesWideTransformersRepeated(t *testing.T) {
	wide := object("sklearn.preprocessing._function_transformer", "FunctionTransformer", "func", "N", "n_features_in_", integer(1<<20))
	inner := object("sklearn.pipeline", "Pipeline", "steps", "]("+text("a")+wide+"\x86"+text("b")+wide+"\x86e")
	steps := "]("
	for range 300 {
		steps += text("a") + inner + "\x86"
	}
	_, err := model.Load([]byte("\x80\x04" + object("sklearn.pipeline", "Pipeline", "steps", steps+"e") + "."))
	if err == nil || !strings.Contains(err.Error(), "far more memory") {
		t.Errorf("got %v", err)
	}
}
