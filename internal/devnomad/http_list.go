package devnomad

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/hashicorp/go-bexpr"
)

// paged is one page of a list; next names the first item of the next page.
type paged struct {
	items any
	next  string
}

// page answers with the items that pass ?filter, at most ?per_page of them, from ?next_token on. token names an item,
// and show is how it is listed. Like Nomad, it compares tokens as text.
func page[T, S any](r *http.Request, items []T, token func(T) string, show func(T) S) (any, error) {
	q := r.URL.Query()
	items, err := filtered(q.Get("filter"), items)
	if err != nil {
		return nil, err
	}
	past := func(at, from string) bool { return at >= from }
	if backwards, _ := strconv.ParseBool(q.Get("reverse")); backwards {
		slices.Reverse(items)
		past = func(at, from string) bool { return at <= from }
	}
	if from := q.Get("next_token"); from != "" {
		i := slices.IndexFunc(items, func(v T) bool { return past(token(v), from) })
		if i < 0 {
			i = len(items)
		}
		items = items[i:]
	}
	out := paged{}
	if size, _ := strconv.Atoi(q.Get("per_page")); size > 0 && len(items) > size { // what is no number counts as none
		out.next = token(items[size])
		items = items[:size]
	}
	shown := make([]S, len(items))
	for i, item := range items {
		shown[i] = show(item)
	}
	out.items = shown
	return out, nil
}

// filtered keeps the items for which a filter expression holds.
func filtered[T any](filter string, items []T) ([]T, error) {
	if filter == "" {
		return items, nil
	}
	holds, err := bexpr.CreateEvaluator(filter)
	if err != nil {
		return nil, badRequest("failed to create result paginator: failed to read filter expression: " + err.Error())
	}
	var out []T
	for _, item := range items {
		match, err := holds.Evaluate(item)
		if err != nil {
			return nil, badRequest("failed to read result page: " + err.Error())
		}
		if match {
			out = append(out, item)
		}
	}
	return out, nil
}

// asStored shows what is listed as it is stored.
func asStored[T any](v T) T { return v }

// indexToken names what is listed by the index of its creation.
func indexToken(createIndex uint64, id string) string {
	return strconv.FormatUint(createIndex, 10) + "." + id
}
