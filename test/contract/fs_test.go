package contract

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

func TestFiles(t *testing.T) {
	f := newFixture(t)
	f.deployed(spec{count: 1, version: "7", progress: 20 * time.Second})
	a := f.alloc(f.running(0)[0].ID)
	want := "start alloc=" + a.ID + " version=7\n"
	const log = "alloc/logs/server.stdout.0"
	t.Run("ls", func(t *testing.T) {
		files, _, err := f.nomad.AllocFS().List(a, "/", nil)
		if err != nil || len(files) < 2 || !slices.ContainsFunc(files, func(i *api.AllocFileInfo) bool { return i.Name == "alloc" && i.IsDir }) {
			t.Errorf("%+v, %v", files, err)
		}
	})
	t.Run("stat", func(t *testing.T) {
		info, _, err := f.nomad.AllocFS().Stat(a, log, nil)
		if err != nil || info.Name != "server.stdout.0" || info.IsDir || info.Size != int64(len(want)) || info.ContentType != "text/plain; charset=utf-8" {
			t.Errorf("%+v, %v", info, err)
		}
	})
	t.Run("cat_and_readat", func(t *testing.T) {
		whole, err := f.nomad.AllocFS().Cat(a, log, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer whole.Close()
		if text, err := io.ReadAll(whole); string(text) != want || err != nil {
			t.Errorf("%q, %v", text, err)
		}
		part, err := f.nomad.AllocFS().ReadAt(a, log, 6, 5, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer part.Close()
		if text, err := io.ReadAll(part); string(text) != "alloc" || err != nil {
			t.Errorf("%q, %v", text, err)
		}
	})
	base := "/v1/client/fs/"
	f.wants(t, "GET", base+"ls/"+a.ID+"?path=../..", "", 500, "Path escapes the alloc directory")
	f.wants(t, "GET", base+"ls/"+noID+"?path=/", "", 404, `Unknown allocation "`+noID+`"`)
	f.wants(t, "GET", base+"stat/"+a.ID, "", 400, "must provide a file name")
	f.wants(t, "GET", base+"cat/"+a.ID, "", 200, "must provide a file name")
	f.wants(t, "GET", base+"cat/"+a.ID+"?path=alloc", "", 200, `file "alloc" is a directory`)
	f.wants(t, "GET", base+"cat/"+a.ID+"?path=../../x", "", 200, "Path escapes the alloc directory")
	if status, text, _ := f.call(t, "GET", base+"ls/"+a.ID+"?path=nope", ""); status != 404 || !strings.HasSuffix(text, "no such file or directory") {
		t.Errorf("%d %s", status, text)
	}
	f.wants(t, "GET", "/v1/client/stats?node_id="+noID, "", 404, "Unknown node "+noID)
}

func TestLists(t *testing.T) {
	f := newFixture(t)
	s := spec{count: 1, version: "1", progress: 20 * time.Second}
	f.deployed(s)
	s.version = "2"
	f.deployed(s)
	// Following the token over all pages is not asserted: Nomad compares tokens as text, so that 99 comes after 100.
	t.Run("per_page_names_the_next_of_the_oldest_first", func(t *testing.T) {
		f.eventually("two lists agree", func() bool {
			var all, page []api.Deployment
			_, text, _ := f.call(t, "GET", "/v1/deployments", "")
			err := json.Unmarshal([]byte(text), &all)
			_, text, h := f.call(t, "GET", "/v1/deployments?per_page=1", "")
			err = errors.Join(err, json.Unmarshal([]byte(text), &page))
			oldestFirst := func(a, b api.Deployment) int { return cmp.Compare(a.CreateIndex, b.CreateIndex) }
			return err == nil && len(page) == 1 && len(all) > 1 && slices.IsSortedFunc(all, oldestFirst) && page[0].ID == all[0].ID &&
				h.Get("X-Nomad-Nexttoken") == fmt.Sprintf("%d.%s", all[1].CreateIndex, all[1].ID)
		}, f.list)
	})
	t.Run("reverse", func(t *testing.T) {
		_, text, _ := f.call(t, "GET", "/v1/deployments?reverse=true", "")
		if strings.Index(text, f.at(0).ID) < strings.Index(text, f.at(1).ID) {
			t.Error("the older one comes first")
		}
	})
	t.Run("a_filter_that_is_not_understood_is_400", func(t *testing.T) {
		for _, list := range []string{"jobs", "deployments", "allocations", "evaluations", "nodes"} {
			if status, text, _ := f.call(t, "GET", "/v1/"+list+"?filter=%3D%3D", ""); status != 400 || !strings.Contains(text, "filter expression") {
				t.Errorf("%s: %d %s", list, status, text)
			}
		}
	})
	t.Run("alloc_list_stub_has_no_deployment_id", func(t *testing.T) {
		_, text, _ := f.call(t, "GET", "/v1/job/"+f.id+"/allocations", "")
		if !strings.Contains(text, `"DeploymentStatus"`) || strings.Contains(text, `"DeploymentID"`) {
			t.Errorf("%s", text)
		}
	})
	t.Run("submission_is_kept", func(t *testing.T) {
		body, err := json.Marshal(map[string]any{
			"Job": f.job(spec{count: 1, version: "3", progress: 20 * time.Second}), "Submission": api.JobSubmission{Source: "job {}", Format: "hcl2"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if status, text, _ := f.call(t, "POST", "/v1/jobs", string(body)); status != 200 {
			t.Fatalf("%d %s", status, text)
		}
		submission, _, err := f.nomad.Jobs().Submission(f.id, 2, nil)
		if err != nil || submission.Source != "job {}" || submission.Format != "hcl2" {
			t.Errorf("%+v, %v", submission, err)
		}
	})
}
