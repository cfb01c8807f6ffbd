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

// sequence returns the elements of a list, a tuple or an array of objects.
func (a attrs) sequence(name string) ([]any, error) {
	v, err := a.get(name)
	if err != nil {
		return nil, err
	}
	if arr, err := pickle.ArrayOf(v); err == nil && arr.Type.Kind == 'O' && len(arr.Shape) == 1 {
		return a.values(name, arr)
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

// width returns n_features_in_.
func (a attrs) width() (int, error) {
	n, err := a.integer("n_features_in_")
	if err == nil && (n < 1 || n > maxWidth) {
		err = a.errorf("n_features_in_", "it is %d: want 1 to %d", n, maxWidth)
	}
	return n, err
}

// checkWidth checks n_features_in_ (there since scikit-learn 0.24) against the width that the estimator's numbers have.
func (a attrs) checkWidth(n int) error {
	if v := a.o.Attrs["n_features_in_"]; v == nil || n == anyWidth {
		return nil
	}
	in, err := a.width()
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
	if _, ok := a.o.Attrs["feature_names_in_"]; !ok {
		return nil, nil
	}
	return a.namesIn("feature_names_in_", n)
}

func (a attrs) namesIn(name string, n int) ([]string, error) {
	arr, err := pickle.ArrayOf(a.o.Attrs[name])
	if err != nil {
		return nil, a.errorf(name, "%w", err)
	}
	values, err := a.values(name, arr)
	if err != nil || len(values) != n {
		return nil, a.errorf(name, "want %d names", n)
	}
	names := make([]string, n)
	for i, v := range values {
		var ok bool
		if names[i], ok = v.(string); !ok {
			return nil, a.errorf(name, "want names only")
		}
	}
	return names, nil
}

// signature fills the parts of a signature that all estimators share.
func (a attrs) signature(kind Kind, in, out int) (Signature, error) {
	if in < 1 || out < 1 || in > maxWidth || out > maxWidth {
		return Signature{}, errors.New(a.class() + " has no columns, far too many of them, or gives nothing")
	}
	if err := a.checkWidth(in); err != nil {
		return Signature{}, err
	}
	names, err := a.names(in)
	return Signature{Kind: kind, In: in, Out: out, Names: names}, err
}

// transformer makes an estimator that turns rows of in numbers into rows of out numbers.
func (a attrs) transformer(in, out int, f rowsFunc) (*estimator, error) {
	sig, err := a.signature(Transformer, in, out)
	sig.Vector = true
	return &estimator{Signature: sig, apply: f}, err
}

// regressor makes an estimator that gives out numbers for a row. Vector: as a list.
func (a attrs) regressor(in, out int, vector bool, f rowsFunc) (*estimator, error) {
	sig, err := a.signature(Regressor, in, out)
	sig.Vector = vector
	return &estimator{Signature: sig, apply: f}, err
}

// classifier makes an estimator that gives the index of a label. How it chooses is for the caller to add.
func (a attrs) classifier(in int, labels []any) (*estimator, error) {
	sig, err := a.signature(Classifier, in, 1)
	sig.Labels = labels
	return &estimator{Signature: sig}, err
}
