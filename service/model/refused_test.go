package model_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/weirhq/weir/service/model"
)

func TestSaysWhatToDoAboutRefusedClasses(t *testing.T) {
	known := model.Estimators()
	for _, r := range model.Refusals() {
		for _, class := range r.Classes {
			if slices.Contains(known, class) {
				t.Errorf("%s is read", class)
			}
			_, err := model.Load([]byte("\x80\x04" + object("sklearn.anywhere", class) + "."))
			if err == nil || !strings.Contains(err.Error(), class) || !strings.Contains(err.Error(), r.Do) {
				t.Errorf("%s: %v", class, err)
			}
		}
	}
	_, err := model.Load([]byte("\x80\x04" + object("os", "NMF") + "."))
	if err == nil || strings.Contains(err.Error(), "PCA") {
		t.Errorf("a class of another module: %v", err)
	}
}
