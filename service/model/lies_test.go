package model_test

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/weirhq/weir/service/model"
)

// The helpers below write pickles of protocol 4 by hand, for files that scikit-learn would never write.

func text(s string) string { return "\x8c" + string([]byte{byte(len(s))}) + s }

func global(module, name string) string { return text(module) + text(name) + "\x93" }

func integer(n int) string {
	return "J" + string(binary.LittleEndian.AppendUint32(nil, uint32(int32(n))))
}

func ints(v ...int64) string {
	var b []byte
	for _, n := range v {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	return string(b)
}

func floats(v ...float64) string {
	var b []byte
	for _, n := range v {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(n))
	}
	return string(b)
}

func tuple(items ...string) string { return "(" + strings.Join(items, "") + "t" }

func dtype(descr, order, names, fields, size string) string {
	return global("numpy", "dtype") + tuple(text(descr), "\x89", "\x88") + "R" +
		tuple("K\x03", text(order), "N", names, fields, size, integer(-1), "K\x00") + "b"
}

func simple(descr string) string { return dtype(descr, "<", "N", "N", integer(-1)) }

func array(dtype, shape, data string) string {
	n := binary.LittleEndian.AppendUint32(nil, uint32(len(data)))
	empty := global("numpy.core.multiarray", "_reconstruct") +
		tuple(global("numpy", "ndarray"), "K\x00\x85", "C\x01b") + "R"
	return empty + tuple("K\x01", shape, dtype, "\x89", "B"+string(n)+data) + "b"
}

// lie is a decision tree of three nodes, of which each part can be replaced.
type lie struct {
	left, right, feature []int64
	threshold            []float64
	values               string
	features, nodeCount  int
	descr, order         string // of the nodes' type
	size, rightOffset    int
	extraField           string
	nodes                string // in place of all that makes up the nodes
}

func honest() lie {
	return lie{
		left: []int64{1, -1, -1}, right: []int64{2, -1, -1}, feature: []int64{0, -2, -2}, threshold: []float64{.5, -2, -2},
		values: array(simple("f8"), tuple("K\x03", "K\x01", "K\x02"), floats(1, 1, 1, 0, 0, 1)), features: 2, nodeCount: 3,
		descr: "V32", order: "<", size: 32, rightOffset: 8,
	}
}

func (l lie) nodeArray() string {
	if l.nodes != "" {
		return l.nodes
	}
	i8, f8 := dtype("i8", l.order, "N", "N", integer(-1)), dtype("f8", l.order, "N", "N", integer(-1))
	names := tuple(text("left_child"), text("right_child"), text("feature"), text("threshold"))
	fields := text("left_child") + i8 + "K\x00\x86" + text("right_child") + i8 + integer(l.rightOffset) + "\x86" +
		text("feature") + i8 + "K\x10\x86" + text("threshold") + f8 + "K\x18\x86"
	if l.extraField != "" {
		names = names[:len(names)-1] + text(l.extraField) + "t"
		fields += text(l.extraField) + i8 + "K\x20\x86"
	}
	var data string
	for i := range l.left {
		data += ints(l.left[i], l.right[i], l.feature[i]) + floats(l.threshold[i])
		if l.extraField != "" {
			data += ints(0)
		}
	}
	t := dtype(l.descr, "|", names, "}("+fields+"u", integer(l.size))
	return array(t, integer(len(l.left))+"\x85", data)
}

func (l lie) pickle() []byte {
	tree := global("sklearn.tree._tree", "Tree") +
		tuple(integer(l.features), array(simple("i8"), "K\x01\x85", ints(2)), "K\x01") + "R}(" +
		text("max_depth") + "K\x01" + text("node_count") + integer(l.nodeCount) + text("nodes") + l.nodeArray() +
		text("values") + l.values + "ub"
	return []byte("\x80\x04" + global("sklearn.tree._classes", "DecisionTreeClassifier") + ")\x81}(" +
		text("classes_") + array(simple("i8"), "K\x02\x85", ints(0, 1)) + text("tree_") + tree + "ub.")
}

func TestHonestTree(t *testing.T) {
	m, err := model.Load(honest().pickle())
	if err != nil {
		t.Fatal(err)
	}
	if got := predict(t, m, [][]float64{{0.4, 0}, {0.6, 0}}); got[0] != 0.0 || got[1] != 1.0 {
		t.Errorf("got %v", got)
	}
}

func TestRefusesTreesThatLie(t *testing.T) {
	tests := []struct {
		name, want string
		change     func(*lie)
	}{
		{"child out of range", "children", func(l *lie) { l.right[0] = 3 }},
		{"negative child", "children", func(l *lie) { l.left[0] = -7 }},
		{"half a leaf", "children", func(l *lie) { l.left[1] = 2 }},
		{"cycle to itself", "two ways", func(l *lie) { l.left[0] = 0 }},
		{"cycle to the root", "two ways", func(l *lie) { l.left[1], l.right[1], l.feature[1] = 0, 2, 0 }},
		{"shared child", "two ways", func(l *lie) { l.right[0] = 1 }},
		{"column out of range", "column 2", func(l *lie) { l.feature[0] = 2 }},
		{"negative column", "column -1", func(l *lie) { l.feature[0] = -1 }},
		{"threshold NaN", "no threshold", func(l *lie) { l.threshold[0] = math.NaN() }},
		{"node_count", "node_count of 4", func(l *lie) { l.nodeCount = 4 }},
		{"no nodes", "0 nodes", func(l *lie) { l.left, l.nodeCount = nil, 0 }},
		{"no columns", "number of columns", func(l *lie) { l.features = 0 }},
		{"too few values", "don't fit", func(l *lie) {
			l.values = array(simple("f8"), tuple("K\x02", "K\x01", "K\x02"), floats(1, 1, 1, 0))
		}},
		{"values of another class count", "2 classes", func(l *lie) {
			l.values = array(simple("f8"), tuple("K\x03", "K\x01", "K\x01"), floats(1, 1, 1))
		}},
		{"content shorter than the shape", "bytes of content", func(l *lie) {
			l.values = array(simple("f8"), tuple("K\x03", "K\x01", "K\x02"), floats(1))
		}},
		{"negative shape", "negative or too large", func(l *lie) {
			l.values = array(simple("f8"), tuple(integer(-3), "K\x01", "K\x02"), "")
		}},
		{"overflowing shape", "negative or too large", func(l *lie) {
			big := integer(1 << 30)
			l.values = array(simple("f8"), tuple(big, big, big), "")
		}},
		{"elements of no size", "no size", func(l *lie) {
			l.values = array(simple("U0"), tuple(integer(1<<30)), "")
		}},
		{"itemsize", "disagrees", func(l *lie) { l.size = 40 }},
		{"field outside", "outside its element", func(l *lie) { l.rightOffset = 28 }},
		{"fields overlap", "overlap", func(l *lie) { l.rightOffset = 4 }},
		{"unknown field", "split_kind", func(l *lie) { l.extraField, l.descr, l.size = "split_kind", "V40", 40 }},
		{"nodes without fields", "structured", func(l *lie) { l.nodes = array(simple("f8"), "K\x01\x85", floats(1)) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := honest()
			tt.change(&l)
			m, err := model.Load(l.pickle())
			if err == nil {
				t.Fatalf("loaded %v", m)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q: want %q in it", err, tt.want)
			}
		})
	}
}

func TestReadsBigEndianTrees(t *testing.T) {
	l := honest()
	l.order = ">"
	if _, err := model.Load(l.pickle()); err == nil || !strings.Contains(err.Error(), "children") {
		t.Errorf("little-endian numbers that claim to be big-endian: got %v", err)
	}
}

func TestRefusesWhatIsNoModel(t *testing.T) {
	pipeline := "\x80\x04" + global("sklearn.pipeline", "Pipeline") + ")\x81"
	self := pipeline + "\x94}" + text("steps") + "]" + text("a") + "h\x00\x86asb."
	tests := []struct{ name, data, want string }{
		{"dict", "\x80\x04}.", "no estimator"},
		{"list", "\x80\x04].", "no estimator"},
		{"not fitted", "\x80\x04" + global("sklearn.linear_model._base", "LinearRegression") + ")\x81}b.", "coef_"},
		{"no state", "\x80\x04" + global("sklearn.linear_model._base", "LinearRegression") + ")\x81.", "coef_"},
		{"part of an estimator", "\x80\x04" + global("sklearn.tree._tree", "Tree") + ")\x81.", "no estimator"},
		{"class in place of an instance", "\x80\x04" + global("sklearn.pipeline", "Pipeline") + ".", "no estimator"},
		{"pipeline within itself", self, "nested"},
		{"empty pipeline", pipeline + "}" + text("steps") + "]sb.", "no estimator"},
		{"text file", "hello", "protocol"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := model.Load([]byte(tt.data))
			if err == nil {
				t.Fatalf("loaded %v", m)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q: want %q in it", err, tt.want)
			}
		})
	}
}

// TestRefusesArraysSharedToExhaustion has many scalers that all refer to one array: small in the file, large in memory.
func TestRefusesArraysSharedToExhaustion(t *testing.T) {
	const columns = 100_000
	data := "\x80\x04" + global("sklearn.pipeline", "Pipeline") + ")\x81}" + text("steps") + "](" // memo 0: the array
	for i := range 250 {
		mean := "h\x00"
		if i == 0 {
			mean = array(simple("f8"), integer(columns)+"\x85", floats(make([]float64, columns)...)) + "\x94"
		}
		data += text("s") + global("sklearn.preprocessing._data", "StandardScaler") + ")\x81}(" +
			text("n_features_in_") + integer(columns) + text("with_mean") + "\x88" + text("with_std") + "\x89" +
			text("mean_") + mean + "ub\x86"
	}
	_, err := model.Load([]byte(data + "esb."))
	if err == nil || !strings.Contains(err.Error(), "far more memory") {
		t.Errorf("got %v", err)
	}
}
