package nginx

import (
	"fmt"
	"strings"
	"testing"
)

// A site with many models still fits into nginx's texts, of 4096 bytes at most.
func TestManyModelsFitIntoTheStatus(t *testing.T) {
	site := Site{}
	for i := range 1000 {
		site.Models = append(site.Models, Model{Name: fmt.Sprintf("model-%04d", i), Epoch: "1/-"})
	}
	v, err := newView(Settings{Listen: "127.0.0.1:80"}, site, "1-a", false)
	if err != nil {
		t.Fatal(err)
	}
	text := v.Status
	for i, part := range v.StatusParts {
		if len(part) > maxParameter {
			t.Errorf("part %d has %d bytes", i, len(part))
		}
		text = strings.Replace(text, fmt.Sprintf("${weir_status_%d}", i), part, 1)
	}
	if len(v.Status) > maxParameter || !strings.HasSuffix(text, `,"pid":$pid}`) || !strings.Contains(text, `"model-0999":"1/-"`) {
		t.Errorf("status of %d bytes in %d parts: %.100s…", len(v.Status), len(v.StatusParts), text)
	}
}
