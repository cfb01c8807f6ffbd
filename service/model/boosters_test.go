package model_test

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/weirhq/weir/service/model"
)

// xgbJSON is a model of one tree of XGBoost over two columns, with the numbers of two outputs in a leaf if need be.
const xgbJSON = `{"Model": {"version": [3, 2, 0], "learner": {"attributes": {}, "feature_names": [],
	"learner_model_param": {"base_score": "5E-1", "num_class": "0", "num_feature": "2", "num_target": "1"},
	"objective": {"name": "reg:squarederror"},
	"gradient_booster": {"name": "gbtree", "model": {"gbtree_model_param": {"num_parallel_tree": "1"},
		"iteration_indptr": [0, 1], "tree_info": [0], "trees": [{"tree_param": {"size_leaf_vector": "1"},
		"left_children": [1, -1, -1], "right_children": [2, -1, -1], "split_indices": [1, 0, 0],
		"split_conditions": [0.5, 10, 20], "default_left": [1, 0, 0],
		"categories_nodes": [], "categories_segments": [], "categories_sizes": [], "categories": []}]}}}}}`

// bytesOf pickles bytes.
func bytesOf(s string) string {
	return "B" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

// longText pickles a text of any length.
func longText(s string) string {
	return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

func xgbPickle(doc string) []byte {
	return []byte("\x80\x04" + object("xgboost.core", "Booster", "handle", bytesOf(doc)) + ".")
}

func TestHonestXGBoost(t *testing.T) {
	m, err := model.Load(xgbPickle(xgbJSON))
	if err != nil {
		t.Fatal(err)
	}
	x := [][]float64{{0, 0.4}, {0, 0.5}, {math.NaN(), math.NaN()}}
	for i, want := range []float64{10.5, 20.5, 10.5} {
		if got := predict(t, m, x)[i]; got != want {
			t.Errorf("row %d: got %v, want %v", i, got, want)
		}
	}
	err = m.Predict([]float64{0, 1e39}, 1, make([]float64, 1), &model.Scratch{})
	if err == nil || !strings.Contains(err.Error(), "column 1: the number is too large") {
		t.Errorf("a number beyond float32: got %v", err)
	}
}

func TestRefusesXGBoostThatLies(t *testing.T) {
	const categories = `"categories_nodes": [0], "categories_segments": [0], "categories_sizes": [2], "categories": [1, 2]`
	const none = `"categories_nodes": [], "categories_segments": [], "categories_sizes": [], "categories": []`
	tests := []struct{ name, old, now, want string }{
		{"old format", `{"Model"`, `binf`, "old binary format"},
		{"cut off", `"Model": {`, `"Model": `, "JSON"},
		{"no model", `"Model"`, `"Modell"`, `"Model"`},
		{"no learner", `"learner"`, `"lerner"`, `"learner"`},
		{"no columns", `"num_feature": "2"`, `"num_feature": "0"`, "no columns"},
		{"huge width", `"num_feature": "2"`, `"num_feature": "99999999999"`, "num_feature"},
		{"huge classes", `"num_class": "0"`, `"num_class": "99999999"`, "num_class"},
		{"objective", `reg:squarederror`, `reg:mine`, `"reg:mine" is not supported`},
		{"base_score", `5E-1`, `[1,2]`, "base_score"},
		{"no base_score", `5E-1`, `x`, "base_score"},
		{"infinite base_score", `"5E-1", "num_class": "0"`, `"1E99", "num_class": "0"`, "base_score"},
		{"booster", `"gbtree", "model"`, `"gbforest", "model"`, `"gbforest"`},
		{"dart without trees", `"gbtree", "model"`, `"dart", "model"`, `"gbtree"`},
		{"linear without weights", `"gbtree", "model"`, `"gblinear", "model"`, "weights"},
		{"groups", `"tree_info": [0]`, `"tree_info": [1]`, "output 1"},
		{"number of groups", `"tree_info": [0]`, `"tree_info": [0, 0]`, "tree_info"},
		{"number of rates", `"tree_info"`, `"weight_drop": [1, 1], "tree_info"`, "weight_drop"},
		{"child out of range", `"left_children": [1`, `"left_children": [3`, "children"},
		{"half a child", `"left_children": [1`, `"left_children": [1.5`, "children"},
		{"cycle", `"left_children": [1`, `"left_children": [0`, "two ways"},
		{"shared child", `"left_children": [1`, `"left_children": [2`, "two ways"},
		{"half a leaf", `"left_children": [1, -1`, `"left_children": [1, 2`, "children"},
		{"column", `"split_indices": [1`, `"split_indices": [2`, "column 2"},
		{"no nodes", `[1, -1, -1]`, `[]`, "no nodes"},
		{"fewer conditions", `[0.5, 10, 20]`, `[0.5, 10]`, "split_conditions"},
		{"leaf vector", `"size_leaf_vector": "1"`, `"size_leaf_vector": "2"`, "base_weights"},
		{"huge leaf vector", `"size_leaf_vector": "1"`, `"size_leaf_vector": "99999999"`, "size_leaf_vector"},
		{
			"leaf outside its list", `"size_leaf_vector": "1"}`, `"size_leaf_vector": "2"}, "leaf_weights": [1, 2]`,
			"want 1 or 1",
		},
		{"categories outside", none, strings.Replace(categories, "[2]", "[3]", 1), "outside"},
		{"negative segment", none, strings.Replace(categories, "[0], \"categories_sizes", "[-1], \"categories_sizes", 1), "outside"},
		{"category far out", none, strings.Replace(categories, "[1, 2]", "[1, 9999999]", 1), "category"},
		{"negative category", none, strings.Replace(categories, "[1, 2]", "[1, -2]", 1), "category"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc := strings.Replace(xgbJSON, tt.old, tt.now, 1)
			if doc == xgbJSON {
				t.Fatal("there is nothing to replace")
			}
			m, err := model.Load(xgbPickle(doc))
			if err == nil {
				t.Fatalf("loaded %v", m)
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "the file is damaged") {
				t.Errorf("error %q: want %q in it", err, tt.want)
			}
		})
	}
}

// lgbText is a model of one tree of LightGBM over two columns, which has a set of the categories 1 and 33.
const lgbText = `tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=1
objective=regression
feature_names=Column_0 Column_1
feature_infos=[0:1] 1:33
tree_sizes=1

Tree=0
num_leaves=3
num_cat=1
split_feature=0 1
split_gain=1 1
threshold=0.5 0
decision_type=10 1
left_child=-1 -2
right_child=1 -3
leaf_value=10 20 30
cat_boundaries=0 2
cat_threshold=2 2
is_linear=0


end of trees
`

func lgbPickle(doc string) []byte {
	return []byte("\x80\x04" + object("lightgbm.basic", "Booster", "_handle", longText(doc), "best_iteration", integer(0)) + ".")
}

func TestHonestLightGBM(t *testing.T) {
	m, err := model.Load(lgbPickle(lgbText))
	if err != nil {
		t.Fatal(err)
	}
	x := [][]float64{{0.5, 0}, {0.6, 1}, {1, 33.9}, {1, 2}, {1, -1}, {1, math.NaN()}, {math.NaN(), 1}, {1, 1e300}}
	for i, want := range []float64{10, 20, 20, 30, 30, 30, 10, 30} {
		if got := predict(t, m, x)[i]; got != want {
			t.Errorf("row %d: got %v, want %v", i, got, want)
		}
	}
}

func TestRefusesLightGBMThatLies(t *testing.T) {
	linear := "is_linear=1\nleaf_const=1 2 3\nnum_features=1 0 1\nleaf_features=0 1\nleaf_coeff=1 2"
	tests := []struct{ name, old, now, want string }{
		{"another text", "tree\n", "forest\n", "no model text"},
		{"cut off", "end of trees", "end of", "cut off"},
		{"no width", "max_feature_idx=1", "max_feature_idx=-1", "max_feature_idx"},
		{"huge width", "max_feature_idx=1", "max_feature_idx=99999999", "max_feature_idx"},
		{"no outputs", "num_tree_per_iteration=1", "num_tree_per_iteration=0", "num_tree_per_iteration"},
		{"trees of no output", "num_tree_per_iteration=1", "num_tree_per_iteration=2", "multiple"},
		{"objective", "objective=regression", "objective=mine", `"mine" is not supported`},
		{"sigmoid", "objective=regression", "objective=binary sigmoid:x", "no number"},
		{"no leaves", "num_leaves=3", "num_leaves=0", "num_leaves"},
		{"huge leaves", "num_leaves=3", "num_leaves=1000000000", "leaf_value"},
		{"more leaves", "num_leaves=3", "num_leaves=4", "leaf_value"},
		{"fewer leaves", "num_leaves=3", "num_leaves=2", "leaf_value"},
		{"no number", "leaf_value=10", "leaf_value=ten", "no number"},
		{"child out of range", "right_child=1", "right_child=2", "children"},
		{"leaf out of range", "left_child=-1", "left_child=-4", "children"},
		{"smallest child", "left_child=-1", "left_child=-9223372036854775808", "children"},
		{"cycle", "right_child=1", "right_child=0", "two ways"},
		{"shared leaf", "left_child=-1 -2", "left_child=-1 -1", "two ways"},
		{"column", "split_feature=0", "split_feature=2", "column 2"},
		{"no threshold", "threshold=0.5", "threshold=nan", "no threshold"},
		{"missing type", "decision_type=10", "decision_type=14", "decision_type 14"},
		{"set out of range", "threshold=0.5 0", "threshold=0.5 1", "that there is not"},
		{"set NaN", "threshold=0.5 0", "threshold=0.5 nan", "that there is not"},
		{"many sets", "num_cat=1", "num_cat=9", "num_cat"},
		{"set ends early", "cat_boundaries=0 2", "cat_boundaries=2 0", "cat_"},
		{"set before the words", "cat_boundaries=0 2", "cat_boundaries=-1 2", "cat_boundaries"},
		{"set of more words", "cat_boundaries=0 2", "cat_boundaries=0 3", "cat_threshold"},
		{"linear column", "is_linear=0", strings.Replace(linear, "leaf_features=0 1", "leaf_features=0 2", 1), "column 2"},
		{"linear counts", "is_linear=0", strings.Replace(linear, "num_features=1", "num_features=-1", 1), "num_features"},
		{"many linear counts", "is_linear=0", strings.Replace(linear, "num_features=1", "num_features=3", 1), "num_features"},
		{"more linear columns", "is_linear=0", strings.Replace(linear, "num_features=1", "num_features=0", 1), "more than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc := strings.Replace(lgbText, tt.old, tt.now, 1)
			if doc == lgbText {
				t.Fatal("there is nothing to replace")
			}
			m, err := model.Load(lgbPickle(doc))
			if err == nil {
				t.Fatalf("loaded %v", m)
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "the file is damaged") {
				t.Errorf("error %q: want %q in it", err, tt.want)
			}
		})
	}
}

// TestRefusesBoostersThatSwell has files that would need far more memory than they take.
func TestRefusesBoostersThatSwell(t *testing.T) {
	const many = 1 << 20
	for name, data := range map[string][]byte{
		"objects":  xgbPickle(`{"Model": [` + strings.Repeat("{},", many) + `{}]}`),
		"lists":    xgbPickle("{" + ubjson("Model")[1:] + "[" + strings.Repeat("[]", many) + "]}"),
		"LightGBM": lgbPickle("tree\n" + strings.Repeat("a\n", 8*many)),
	} {
		_, err := model.Load(data)
		if err == nil || !strings.Contains(err.Error(), "far more memory") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// usable fails where a file that loads can't answer, or where loading it is only saved by a recover.
func usable(t *testing.T, data []byte) {
	t.Helper()
	m, err := model.Load(data)
	if err != nil {
		if strings.Contains(err.Error(), "the file is damaged") {
			t.Error(err)
		}
		return
	}
	if m.In > 1000 || m.Out > 1000 {
		return
	}
	const rows = 9
	x := make([]float64, rows*m.In)
	for i := range x {
		x[i] = []float64{0, 1, -1, math.NaN(), 0.5, 33}[i%6]
	}
	if err := m.Predict(x, rows, make([]float64, rows*m.Out), &model.Scratch{}); err != nil {
		t.Error(err)
	}
}

func FuzzXGBoost(f *testing.F) {
	f.Add([]byte(xgbJSON))
	vector := strings.Replace(xgbJSON, `"size_leaf_vector": "1"}`, `"size_leaf_vector": "2"}, "leaf_weights": [1, 2, 3, 4]`, 1)
	vector = strings.Replace(vector, `"num_target": "1"`, `"num_target": "2"`, 1)
	linear := strings.Replace(xgbJSON, `"gbtree", "model": {`, `"gblinear", "model": {"weights": [1, 2, 3], `, 1)
	for _, doc := range []string{xgbJSON, vector, linear} {
		var v any
		if err := json.Unmarshal([]byte(doc), &v); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(ubjson(v)))
	}
	f.Fuzz(func(t *testing.T, doc []byte) { usable(t, xgbPickle(string(doc))) })
}

// ubjson writes a value of encoding/json as XGBoost does.
func ubjson(v any) string {
	length := func(n int) string { return "L" + string(binary.BigEndian.AppendUint64(nil, uint64(n))) }
	out := ""
	switch v := v.(type) {
	case string:
		return "S" + length(len(v)) + v
	case float64:
		return "d" + string(binary.BigEndian.AppendUint32(nil, math.Float32bits(float32(v))))
	case []any:
		if len(v) > 0 {
			if _, ok := v[0].(float64); ok {
				out = "[$d#" + length(len(v))
				for _, n := range v {
					out += ubjson(n)[1:]
				}
				return out
			}
		}
		out = "[#" + length(len(v))
		for _, item := range v {
			out += ubjson(item)
		}
	case map[string]any:
		out = "{"
		for _, name := range slices.Sorted(maps.Keys(v)) {
			out += length(len(name)) + name + ubjson(v[name])
		}
		out += "}"
	}
	return out
}

func FuzzLightGBM(f *testing.F) {
	f.Add(lgbText)
	f.Add(strings.Replace(lgbText, "is_linear=0",
		"is_linear=1\nleaf_const=1 2 3\nnum_features=1 0 1\nleaf_features=0 1\nleaf_coeff=1 2", 1))
	f.Add(strings.Replace(lgbText, "num_tree_per_iteration=1", "num_tree_per_iteration=1\naverage_output", 1))
	f.Fuzz(func(t *testing.T, doc string) { usable(t, lgbPickle(doc)) })
}

// TestBoostersAllocateNothing checks that a prediction uses no memory of its own once its Scratch has grown.
func TestBoostersAllocateNothing(t *testing.T) {
	for name, data := range map[string][]byte{"XGBoost": xgbPickle(xgbJSON), "LightGBM": lgbPickle(lgbText)} {
		m, err := model.Load(data)
		if err != nil {
			t.Fatal(err)
		}
		for _, rows := range []int{1, 20} {
			x, out, s := make([]float64, rows*m.In), make([]float64, rows*m.Out), &model.Scratch{}
			n := testing.AllocsPerRun(20, func() {
				if err := m.Predict(x, rows, out, s); err != nil {
					t.Fatal(err)
				}
			})
			if n != 0 {
				t.Errorf("%s, %d rows: %v allocations", name, rows, n)
			}
		}
	}
}
