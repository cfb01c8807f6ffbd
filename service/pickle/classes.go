package pickle

import (
	"fmt"
	"slices"
	"strings"
)

// Global is the name of a class or function as a pickle has it.
type Global struct{ Module, Name string }

// String returns "module.name".
func (g Global) String() string { return g.Module + "." + g.Name }

// Object is an instance of a class that the reader of the file knows: its name and its attributes, nothing more.
type Object struct {
	Class Global
	Args  []any          // what its constructor was called with
	Attrs map[string]any // its state
	guard *guard         // of its file, until it has its state
}

// splineClass has a state of its own since scipy 1.18: the spline proper, and a mark of its kind of arrays.
var splineClass = Global{"scipy.interpolate._bsplines", "BSpline"}

// PySetState takes the attributes from a BUILD.
func (o *Object) PySetState(state any) error {
	if pair, err := Sequence(state); err == nil && len(pair) == 2 && o.Class == splineClass && o.Attrs == nil {
		o.Attrs = map[string]any{"_delegate_to": pair[0]}
		return nil
	}
	attrs, err := Dict(state)
	if err != nil {
		return fmt.Errorf("state of %s: %w", o.Class, err)
	}
	if o.Attrs != nil {
		return fmt.Errorf("%s gets its state twice", o.Class)
	}
	if o.Attrs = attrs; o.guard != nil {
		o.guard.earnTree(o)
		o.guard = nil
	}
	return nil
}

// class makes Objects of one allowed name.
type class struct {
	name  Global
	guard *guard
}

// PyNew makes an instance for NEWOBJ.
func (c *class) PyNew(args ...any) (any, error) {
	return &Object{Class: c.name, Args: args, guard: c.guard}, nil
}

// Call makes an instance for REDUCE.
func (c *class) Call(args ...any) (any, error) { return c.PyNew(args...) }

// Named stands for a name whose instances are kept out: random states, which no prediction needs, element types and
// functions that are only referred to, and refused names.
type Named struct{ Global Global }

// PyNew returns an object without attributes.
func (n *Named) PyNew(...any) (any, error) { return &Named{}, nil }

// Call returns an object without attributes.
func (n *Named) Call(...any) (any, error) { return &Named{}, nil }

// PySetState drops the state.
func (n *Named) PySetState(any) error { return nil }

// Set drops an entry: the class may be a dict in Python.
func (n *Named) Set(_, _ any) {}

// function is a constructor of ours that stands for one Python function.
type function func(args []any) (any, error)

// Call runs the constructor.
func (f function) Call(args ...any) (any, error) { return f(args) }

// PyNew runs the constructor.
func (f function) PyNew(args ...any) (any, error) { return f(args) }

// finder answers gopickle's question for a global from an exact list. Three names gopickle answers itself, before it
// asks: collections.OrderedDict, __builtin__.object and copy_reg._reconstructor; each only makes an empty value.
type finder struct {
	known   func(Global) bool
	guard   *guard
	load    func(*guard) (any, error) // reads a pickle within the file
	refused []string
}

// find returns what stands for a global. A name that is not on the list gets an inert stand-in, so that the rest of
// the file can be read for further ones: the load then fails with all of them.
func (f *finder) find(module, name string) (any, error) {
	if module == largeModule {
		return f.guard.takeLarge()
	}
	g := Global{module, name}
	if fn, ok := functions[g]; ok {
		if fn == nil {
			return &Named{g}, nil
		}
		return fn, nil
	}
	if g == (Global{"joblib.numpy_pickle", "NumpyArrayWrapper"}) {
		return function(func([]any) (any, error) { return &wrappedArray{finder: f}, nil }), nil
	}
	if _, ok := names[g]; ok {
		return &Named{g}, nil
	}
	if dicts[g] {
		return function(func([]any) (any, error) { return &dictLike{}, nil }), nil
	}
	if f.known(g) {
		return &class{g, f.guard}, nil
	}
	f.refuse(g)
	return &Named{g}, nil
}

func (f *finder) refuse(g Global) {
	s := g.String()
	if len(s) > maxName {
		s = s[:maxName] + "…"
	}
	if !slices.Contains(f.refused, s) && len(f.refused) < 100 {
		f.refused = append(f.refused, s)
	}
}

// RefusedError lists every global of a file that is not on the list.
type RefusedError struct{ Globals []string }

// Error names all of them.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("the file uses %s, which this server does not load: it knows an exact list of classes "+
		"of scikit-learn, XGBoost, LightGBM and numpy, and runs nothing from a file", strings.Join(e.Globals, ", "))
}
