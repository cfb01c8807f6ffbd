package model

import (
	"errors"
	"fmt"

	"github.com/weirhq/weir/service/pickle"
)

// attrs reads the attributes of an object; errors name the class and the attribute.
type attrs struct {
	o *pickle.Object
	l *loader
}

func (a attrs) class() string { return a.o.Class.Name }

func (a attrs) errorf(name, format string, args ...any) error {
	return fmt.Errorf("%s.%s: "+format, append([]any{a.class(), name}, args...)...)
}

// get returns an attribute that must be there.
func (a attrs) get(name string) (any, error) {
	v, ok := a.o.Attrs[name]
	if !ok {
		return nil, a.errorf(name, "it is not in the file; was the estimator fitted before it was written?")
	}
	return v, nil
}

// flag returns a boolean attribute.
func (a attrs) flag(name string) (bool, error) {
	v, err := a.get(name)
	if err != nil {
		return false, err
	}
	if s, err := pickle.Scalar(v); err == nil {
		if b, ok := s.(bool); ok {
			return b, nil
		}
	}
	return false, a.errorf(name, "want a boolean")
}

// integer returns an integer attribute.
func (a attrs) integer(name string) (int, error) {
	v, err := a.get(name)
	if err != nil {
		return 0, err
	}
	n, err := pickle.Int(v)
	if err != nil {
		return 0, a.errorf(name, "%w", err)
	}
	return n, nil
}

// floats returns a numeric array in C order and its shape. A plain number has the shape nil.
func (a attrs) floats(name string) ([]float64, []int, error) {
	v, err := a.get(name)
	if err != nil {
		return nil, nil, err
	}
	if f, err := pickle.Float(v); err == nil {
		return []float64{f}, nil, nil
	}
	arr, err := pickle.ArrayOf(v)
	if err != nil {
		return nil, nil, a.errorf(name, "%w", err)
	}
	if err := a.l.spend(8 * arr.Len()); err != nil {
		return nil, nil, a.errorf(name, "%w", err)
	}
	out, err := arr.Floats()
	if err != nil {
		return nil, nil, a.errorf(name, "%w", err)
	}
	return out, arr.Shape, nil
}

// vector returns a numeric array of n elements.
func (a attrs) vector(name string, n int) ([]float64, error) {
	v, shape, err := a.floats(name)
	if err != nil {
		return nil, err
	}
	if len(shape) != 1 || shape[0] != n {
		return nil, a.errorf(name, "want %d numbers, not the shape %v", n, shape)
	}
	return v, nil
}

// object returns an attribute that is an object of the class name.
func (a attrs) object(name, class string) (attrs, error) {
	v, err := a.get(name)
	if err != nil {
		return attrs{}, err
	}
	o, ok := v.(*pickle.Object)
	if !ok || o.Class.Name != class {
		return attrs{}, a.errorf(name, "want a %s", class)
	}
	return attrs{o, a.l}, nil
}

// sequence returns the elements of a list or tuple.
func (a attrs) sequence(name string) ([]any, error) {
	v, err := a.get(name)
	if err != nil {
		return nil, err
	}
	s, err := pickle.Sequence(v)
	if err != nil {
		return nil, a.errorf(name, "%w", err)
	}
	return s, nil
}

// values returns the elements of an attribute that is arr.
func (a attrs) values(name string, arr *pickle.Array) ([]any, error) {
	if err := a.l.spend(arr.Len() * (32 + arr.Type.Size)); err != nil {
		return nil, a.errorf(name, "%w", err)
	}
	v, err := arr.Values()
	if err != nil {
		return nil, a.errorf(name, "%w", err)
	}
	return v, nil
}

// labels returns the classes of a classifier.
func (a attrs) labels() ([]any, error) {
	v, err := a.get("classes_")
	if err != nil {
		return nil, err
	}
	arr, err := pickle.ArrayOf(v)
	if err != nil {
		if _, listed := pickle.Sequence(v); listed == nil {
			return nil, a.errorf("classes_", "a classifier of several outputs is not supported: want one array of classes")
		}
		return nil, a.errorf("classes_", "%w", err)
	}
	values, err := a.values("classes_", arr)
	if err != nil {
		return nil, err
	}
	if len(arr.Shape) != 1 || len(values) == 0 {
		return nil, a.errorf("classes_", "want a list of classes, not the shape %v", arr.Shape)
	}
	for i := range values {
		if values[i], err = pickle.Scalar(values[i]); err != nil {
			return nil, a.errorf("classes_", "class %d: %w", i, err)
		}
	}
	return values, nil
}

// width checks n_features_in_ (there since scikit-learn 0.24) against the width that the estimator's numbers have.
func (a attrs) width(n int) error {
	if _, ok := a.o.Attrs["n_features_in_"]; !ok {
		return nil
	}
	in, err := a.integer("n_features_in_")
	if err != nil {
		return err
	}
	if in != n {
		return a.errorf("n_features_in_", "it is %d, but the estimator's numbers are for %d columns", in, n)
	}
	return nil
}

// names returns the names of the columns, or nil.
func (a attrs) names(n int) ([]string, error) {
	v, ok := a.o.Attrs["feature_names_in_"]
	if !ok {
		return nil, nil
	}
	arr, err := pickle.ArrayOf(v)
	if err != nil {
		return nil, a.errorf("feature_names_in_", "%w", err)
	}
	values, err := a.values("feature_names_in_", arr)
	if err != nil || len(values) != n {
		return nil, a.errorf("feature_names_in_", "want %d names", n)
	}
	names := make([]string, n)
	for i, v := range values {
		if names[i], ok = v.(string); !ok {
			return nil, a.errorf("feature_names_in_", "want names only")
		}
	}
	return names, nil
}

// signature fills the parts of a signature that all estimators share.
func (a attrs) signature(kind Kind, in, out int) (Signature, error) {
	if in < 1 || out < 1 {
		return Signature{}, errors.New(a.class() + " has no columns or gives nothing")
	}
	if err := a.width(in); err != nil {
		return Signature{}, err
	}
	names, err := a.names(in)
	return Signature{Kind: kind, In: in, Out: out, Names: names}, err
}
