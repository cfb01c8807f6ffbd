package devnomad

import (
	"net/http"
	"slices"
	"strconv"
)

// paged is one page of a list; next names the first item of the next page.
type paged struct {
	items any
	next  string
}

// page cuts a list to ?per_page items, from the one named by ?next_token on; token names an item.
func page[T any](r *http.Request, items []T, token func(T) string) (any, error) {
	q := r.URL.Query()
	if q.Get("filter") != "" {
		return nil, badRequest("failed to read filter expression: the embedded agent has none: use prefix, or filter what it returns")
	}
	if backwards, _ := strconv.ParseBool(q.Get("reverse")); backwards {
		slices.Reverse(items)
	}
	size, _ := strconv.Atoi(q.Get("per_page")) // as in Nomad, what is no number counts as none
	if from := q.Get("next_token"); from != "" {
		i := slices.IndexFunc(items, func(v T) bool { return token(v) == from })
		if i < 0 {
			i = len(items)
		}
		items = items[i:]
	}
	if size <= 0 || len(items) <= size {
		return items, nil
	}
	return paged{items: items[:size], next: token(items[size])}, nil
}

// indexToken names what is listed by the index of its creation.
func indexToken(createIndex uint64, id string) string {
	return strconv.FormatUint(createIndex, 10) + "." + id
}
