package jobspec

import (
	"bytes"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// prepare walks the body of the job, or of locals, once before it is decoded. It makes runtime references literal and
// notes the block types inside config blocks.
//
// A runtime reference is one whose root is neither var, local nor a name bound around it (a dynamic block's iterator, a
// for expression): ${NOMAD_PORT_http}, ${attr.cpu.arch}, ${env["HOME"]}. Its value is its own text. To evaluate it so,
// the traversal is replaced by a single root, and that root is defined as the text.
func (p *parser) prepare(body hcl.Body, src []byte) hcl.Diagnostics {
	w := &preparer{parser: p, src: src, bound: []string{"var", "local"}, types: map[hclsyntax.Node]bool{}}
	return hclsyntax.Walk(body.(*hclsyntax.Body), w)
}

// preparer is the walker of prepare.
type preparer struct {
	*parser
	src    []byte
	bound  []string // names in scope, innermost last
	blocks []nesting
	types  map[hclsyntax.Node]bool // keywords that name a type
}

// nesting is a block around the node that is walked.
type nesting struct {
	block    *hclsyntax.Block
	inConfig bool // it is a config block or inside one
}

// Enter implements hclsyntax.Walker.
func (w *preparer) Enter(node hclsyntax.Node) hcl.Diagnostics {
	switch n := node.(type) {
	case *hclsyntax.Block:
		return w.enterBlock(n)
	case *hclsyntax.ForExpr:
		w.bound = append(w.bound, n.KeyVar, n.ValVar)
	case *hclsyntax.FunctionCallExpr:
		w.keepTypes(n)
	case *hclsyntax.ScopeTraversalExpr:
		w.literal(n)
	}
	return nil
}

// Exit implements hclsyntax.Walker.
func (w *preparer) Exit(node hclsyntax.Node) hcl.Diagnostics {
	switch n := node.(type) {
	case *hclsyntax.Block:
		if isDynamic(n) {
			w.bound = w.bound[:len(w.bound)-1]
		}
		w.blocks = w.blocks[:len(w.blocks)-1]
	case *hclsyntax.ForExpr:
		w.bound = w.bound[:len(w.bound)-2]
	}
	return nil
}

func (w *preparer) enterBlock(b *hclsyntax.Block) hcl.Diagnostics {
	var parent nesting
	if n := len(w.blocks); n > 0 {
		parent = w.blocks[n-1]
	}
	isConfig := b.Type == "config" || b.Type == "content" && isDynamic(parent.block) && parent.block.Labels[0] == "config"
	w.blocks = append(w.blocks, nesting{block: b, inConfig: parent.inConfig || isConfig})
	if parent.inConfig {
		w.configBlocks[b.Type] = hcl.BlockHeaderSchema{Type: b.Type, LabelNames: make([]string, len(b.Labels))}
	}
	if !isDynamic(b) {
		return nil
	}
	w.bound = append(w.bound, iteratorName(b))
	if !parent.inConfig {
		return nil
	}
	return fault(b.DefRange(), "Unsupported dynamic block in config", "Nomad does not expand dynamic blocks inside "+
		"config. Make the whole config block dynamic, or write the blocks out.")
}

func (w *preparer) literal(expr *hclsyntax.ScopeTraversalExpr) {
	if slices.Contains(w.bound, expr.Traversal.RootName()) || w.types[expr] {
		return
	}
	text := "${" + w.textAround(expr.SrcRange) + "}"
	w.ctx.Variables[text] = cty.StringVal(text)
	expr.Traversal = hcl.Traversal{hcl.TraverseRoot{Name: text, SrcRange: expr.SrcRange}}
}

// textAround is the text at a range, and the space around it if all is one interpolation: ${ NOMAD_DC }.
func (w *preparer) textAround(at hcl.Range) string {
	before := bytes.TrimRight(w.src[:at.Start.Byte], " ")
	after := bytes.TrimLeft(w.src[at.End.Byte:], " ")
	if bytes.HasSuffix(before, []byte("${")) && bytes.HasPrefix(after, []byte("}")) {
		return string(w.src[len(before) : len(w.src)-len(after)])
	}
	return string(at.SliceBytes(w.src))
}

// keepTypes notes the keywords in the second argument of convert, which is a type and no value.
func (w *preparer) keepTypes(call *hclsyntax.FunctionCallExpr) {
	if call.Name != "convert" || len(call.Args) != 2 {
		return
	}
	_ = hclsyntax.VisitAll(call.Args[1], func(node hclsyntax.Node) hcl.Diagnostics {
		w.types[node] = true
		return nil
	})
}

func isDynamic(b *hclsyntax.Block) bool { return b != nil && b.Type == "dynamic" && len(b.Labels) == 1 }

// iteratorName is the name that a dynamic block binds in its content: its label unless it says otherwise.
func iteratorName(b *hclsyntax.Block) string {
	attr, ok := b.Body.Attributes["iterator"]
	if !ok {
		return b.Labels[0]
	}
	return hcl.ExprAsKeyword(attr.Expr)
}
