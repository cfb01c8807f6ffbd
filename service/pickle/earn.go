package pickle

// Honest models that are large in memory and small on disk have either many trees or many terms. Their parts pay for
// themselves, so that the budget of the guard can be small for all else.
const (
	earnTree  = 8 << 10         // most of what the objects around one small tree cost
	maxEarned = 20_000          // trees
	earnTerm  = 120 + costEntry // most of what an entry of a vocabulary costs: a text of its own, in the memo, and a number
)

// earnTree gives back what a tree costs that has its nodes, and a value for each.
func (g *guard) earnTree(o *Object) {
	if o.Class.Name != "Tree" || *g.trees >= maxEarned {
		return
	}
	nodes, err := ArrayOf(o.Attrs["nodes"])
	if err != nil || len(nodes.Shape) != 1 || nodes.Shape[0] == 0 || len(nodes.Type.Fields) == 0 {
		return
	}
	values, err := ArrayOf(o.Attrs["values"])
	if err != nil || len(values.Shape) == 0 || values.Shape[0] != nodes.Shape[0] {
		return
	}
	*g.trees++
	*g.budget += earnTree
}

// earnTerms gives back what entries of a dict cost that are terms and their numbers.
func (g *guard) earnTerms(entries []kind) {
	for i := 0; i+1 < len(entries); i += 2 {
		if entries[i] == kindKept && entries[i+1] == kindOther {
			*g.budget += earnTerm
		}
	}
}
