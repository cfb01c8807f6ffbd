package wire

// Schema says what the rows of a request may hold. It is made once for a model.
type Schema struct {
	names     []string // of the columns, for rows that are objects
	places    map[string]int
	texts     bool
	missing   bool
	documents bool
}

// NewSchema makes a Schema. Names are those of all columns, or nil: rows can't be objects then. Texts: some column
// takes text. Missing: some column takes null. Documents: a row is one text, and a list of texts is a list of rows.
func NewSchema(names []string, texts, missing, documents bool) *Schema {
	s := &Schema{names: names, texts: texts, missing: missing, documents: documents, places: map[string]int{}}
	for i, name := range names {
		s.places[name] = i
	}
	if len(s.places) < len(names) {
		s.names = nil // two columns of one name: objects can't have both
	}
	return s
}

// Column returns the place of a named column.
func (s *Schema) Column(name []byte) (int, bool) {
	i, ok := s.places[string(name)]
	return i, ok && s.names != nil
}
