package devnomad

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// constraintsOf are the constraints of a job and one of its groups, its tasks' included.
func constraintsOf(job *api.Job, group *api.TaskGroup) []*api.Constraint {
	all := slices.Concat(job.Constraints, group.Constraints)
	for _, t := range group.Tasks {
		all = append(all, t.Constraints...)
	}
	return all
}

// unmetConstraint returns a constraint that keeps a group from a node, in Nomad's words, or "". previous is the
// allocation that is to be replaced; its own node does not count as taken.
func (tx *txn) unmetConstraint(n *api.Node, job *api.Job, group *api.TaskGroup, previous *api.Allocation) string {
	for _, t := range group.Tasks {
		if d := n.Drivers[t.Driver]; d == nil || !d.Healthy {
			return "missing drivers"
		}
	}
	for _, c := range constraintsOf(job, group) {
		if c.Operand == api.ConstraintDistinctHosts {
			if c.RTarget != "false" && tx.sharesHost(n, job, group, previous, slices.Contains(job.Constraints, c)) {
				return api.ConstraintDistinctHosts
			}
			continue
		}
		if !holdsOn(c, n) {
			return strings.TrimSpace(c.LTarget + " " + c.Operand + " " + c.RTarget)
		}
	}
	return ""
}

// sharesHost reports whether a node has an allocation of the group already, or of the whole job.
func (tx *txn) sharesHost(
	n *api.Node, job *api.Job, group *api.TaskGroup, previous *api.Allocation, wholeJob bool,
) bool {
	for _, a := range tx.allocsOf[val(job.ID)] {
		own := previous != nil && a.ID == previous.ID
		if a.NodeID == n.ID && !terminal(a) && !own && (wholeJob || a.TaskGroup == val(group.Name)) {
			return true
		}
	}
	return false
}

// affinitiesOf are the affinities of a job and one of its groups, its tasks' included.
func affinitiesOf(job *api.Job, group *api.TaskGroup) []*api.Affinity {
	all := slices.Concat(job.Affinities, group.Affinities)
	for _, t := range group.Tasks {
		all = append(all, t.Affinities...)
	}
	return all
}

func asConstraint(a *api.Affinity) *api.Constraint {
	return &api.Constraint{LTarget: a.LTarget, RTarget: a.RTarget, Operand: a.Operand}
}

// affinity is how much a node is to a job's liking, from -1 to 1.
func affinity(n *api.Node, affinities []*api.Affinity) float64 {
	liked, all := 0.0, 0.0
	for _, a := range affinities {
		weight := float64(val(a.Weight))
		if all += math.Abs(weight); holdsOn(asConstraint(a), n) {
			liked += weight
		}
	}
	if all == 0 {
		return 0
	}
	return liked / all
}

// holdsOn reports whether a node meets a constraint.
func holdsOn(c *api.Constraint, n *api.Node) bool {
	left, lfound := resolveTarget(c.LTarget, n)
	right, rfound := resolveTarget(c.RTarget, n)
	switch c.Operand {
	case api.ConstraintAttributeIsSet:
		return lfound
	case api.ConstraintAttributeIsNotSet:
		return !lfound
	case "!=", "not":
		return left != right
	}
	if !lfound || !rfound {
		return false
	}
	switch c.Operand {
	case "", "=", "==", "is":
		return left == right
	case api.ConstraintRegex:
		match, err := regexp.MatchString(right, left)
		return err == nil && match
	case api.ConstraintSetContains, "set_contains_all":
		return !slices.ContainsFunc(list(right), func(v string) bool { return !slices.Contains(list(left), v) })
	case api.ConstraintSetContainsAny:
		return slices.ContainsFunc(list(right), func(v string) bool { return slices.Contains(list(left), v) })
	}
	return false
}

func list(text string) []string {
	items := strings.Split(text, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}

// resolveTarget returns what a side of a constraint is on a node: "${node.unique.name}", "${attr.kernel.name}",
// "${meta.rack}", or text as it is.
func resolveTarget(target string, n *api.Node) (string, bool) {
	name, found := strings.CutPrefix(target, "${")
	if !found {
		return target, true
	}
	name = strings.TrimSuffix(name, "}")
	switch name {
	case "node.unique.id":
		return n.ID, true
	case "node.unique.name":
		return n.Name, true
	case "node.datacenter":
		return n.Datacenter, true
	case "node.class":
		return n.NodeClass, true
	case "node.pool":
		return n.NodePool, true
	case "node.region":
		return "global", true
	}
	if key, found := strings.CutPrefix(name, "attr."); found {
		v, has := n.Attributes[key]
		return v, has
	}
	if key, found := strings.CutPrefix(name, "meta."); found {
		v, has := n.Meta[key]
		return v, has
	}
	return "", false
}

// operands are those of constraints that the agent honours.
var operands = []string{
	"", "=", "==", "is", "!=", "not", api.ConstraintRegex, api.ConstraintSetContains, "set_contains_all",
	api.ConstraintSetContainsAny, api.ConstraintAttributeIsSet, api.ConstraintAttributeIsNotSet,
	api.ConstraintDistinctHosts,
}

// placementProblems names what of a job's wishes for its nodes the agent would not honour.
func placementProblems(job *api.Job) []string {
	var out []string
	if pool := val(job.NodePool); pool != "" && pool != "default" && pool != "all" {
		out = append(out, fmt.Sprintf("node pool %q: the embedded agent has only the pool default; remove node_pool", pool))
	}
	affinities, spreads, constraints := slices.Clone(job.Affinities), slices.Clone(job.Spreads), slices.Clone(job.Constraints)
	for _, g := range job.TaskGroups {
		spreads = append(spreads, g.Spreads...)
		constraints = append(constraints, constraintsOf(&api.Job{}, g)...)
		affinities = append(affinities, affinitiesOf(&api.Job{}, g)...)
	}
	for _, a := range affinities {
		constraints = append(constraints, asConstraint(a))
	}
	for _, s := range spreads {
		known := s.Attribute == "${node.unique.id}" || s.Attribute == "${node.unique.name}"
		if !known || len(s.SpreadTarget) > 0 {
			out = append(out, fmt.Sprintf(
				"spread over %s: the embedded agent spreads evenly over ${node.unique.id} only", s.Attribute))
		}
	}
	for _, c := range constraints {
		if _, err := regexp.Compile(c.RTarget); c.Operand == api.ConstraintRegex && err != nil {
			out = append(out, fmt.Sprintf("constraint on %s: %v", c.LTarget, err))
		}
		if !slices.Contains(operands, c.Operand) {
			out = append(out, fmt.Sprintf("constraint on %s: the embedded agent does not know the operator %q; it knows %s",
				c.LTarget, c.Operand, strings.Join(operands[1:], ", ")))
		}
	}
	return out
}
