package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func TestAnswersOptions(t *testing.T) {
	tests := []struct{ path, body, want string }{
		{
			"../../test/testdata/iris-v1.2.0.pkl", `{"x":[5.1,3.5,1.4,0.2],"probabilities":true}`,
			`{"prediction":[0],"probabilities":[[1,0,0]],"model_version":"v1.0.0"}`,
		},
		{
			fixtures + "logistic-bool.pkl", `{"x":[[-900,0,0,0,0],[900,0,0,0,0]],"probabilities":true}`,
			`{"prediction":[false,true],"probabilities":[[1,0],[0,1]],"model_version":"v1.0.0"}`,
		},
		{
			"../testdata/sklearn-1.9.1/tree-classifier.pkl", `{"x":[[null,null,null,null,null]],"probabilities":false}`,
			`{"prediction":[1],"model_version":"v1.0.0"}`,
		},
	}
	for _, tt := range tests {
		res, body := startReady(t, tt.path).do(t, "POST", "/predict", tt.body)
		var got, want any
		if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s: %v", tt.path, res.StatusCode, body, err)
			continue
		}
		for k, v := range want.(map[string]any) {
			if !nearValue(got.(map[string]any)[k], v) {
				t.Errorf("%s: got %s, want %s", tt.path, body, tt.want)
			}
		}
	}
}

func TestRefusesOptionsThatTheModelLacks(t *testing.T) {
	i := startReady(t, fixtures+"linear.pkl")
	for body, want := range map[string]string{
		`{"x":[1,2,3,4,5],"probabilities":true}`: "no probabilities",
		`{"x":[1,2,3,4,5],"decision":true}`:      "no decision values",
		`{"x":[1,2,3,4,null]}`:                   "missing numbers",
	} {
		res, got := i.do(t, "POST", "/predict", body)
		if res.StatusCode != http.StatusBadRequest || !strings.Contains(got, want) {
			t.Errorf("%s: %d %s", body, res.StatusCode, got)
		}
	}
}
