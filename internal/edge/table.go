package edge

import (
	"cmp"
	"net/netip"
	"strings"

	"github.com/weirhq/weir/nginx"
)

// table says, for the workers of one generation, which release an instance was of and under which epoch a request was
// drawn. The same address may be another release's in another generation.
type table map[string]modelTable

type modelTable struct {
	epoch     string
	instances map[netip.AddrPort]string // → release
}

func newTable(site nginx.Site) table {
	t := make(table, len(site.Models))
	for _, m := range site.Models {
		of := modelTable{epoch: m.Epoch, instances: map[netip.AddrPort]string{}}
		for _, r := range m.Releases {
			for _, in := range r.Instances {
				of.instances[in.Addr] = r.ID
			}
		}
		t[m.Name] = of
	}
	return t
}

// tables keeps those of the last generations. Workers of an earlier one finish their requests for a while.
type tables struct {
	load func(generation string) (nginx.Site, error)
	of   map[string]table // nil for one that can't be read
}

// keptTables is more than there are generations with living workers: reloads for endpoints are a second apart.
const keptTables = 40

func newTables(load func(string) (nginx.Site, error)) *tables {
	return &tables{load: load, of: map[string]table{}}
}

// get returns the table of a generation; nil where nothing is known of it.
func (t *tables) get(generation string) table {
	found, ok := t.of[generation]
	if !ok {
		if site, err := t.load(generation); err == nil {
			found = newTable(site)
		}
		t.put(generation, found)
	}
	return found
}

func (t *tables) put(generation string, of table) {
	t.of[generation] = of
	for len(t.of) > keptTables {
		oldest := generation
		for g := range t.of {
			if older(g, oldest) {
				oldest = g
			}
		}
		delete(t.of, oldest)
	}
}

// older compares two generations by their numbers, which begin with zeros and may grow longer.
func older(a, b string) bool {
	a, _, _ = strings.Cut(a, "-")
	b, _, _ = strings.Cut(b, "-")
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) < 0
}
