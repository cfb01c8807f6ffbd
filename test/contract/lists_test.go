package contract

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"
)

func TestLists(t *testing.T) {
	f := newFixture(t)
	s := spec{count: 3, parallel: 3, version: "1", progress: ample}
	f.deployed(s)
	s.version = "2"
	f.deployed(s)
	first, second := f.at(0), f.at(1)
	if len(fmt.Sprint(first.CreateIndex)) < len(fmt.Sprint(second.CreateIndex)) {
		s.version = "3" // tokens are compared as text: 99 comes after 100
		first, second = second, f.deployed(s)
	}
	lists := map[string][]string{
		"jobs?prefix=" + f.id:                                                   {f.id, f.more(t, "-b"), f.more(t, "-c")},
		"deployments?filter=" + f.filter(first, second):                         {first.ID, second.ID},
		"allocations?filter=" + query(`JobID == %q and Job.Version == 0`, f.id): f.allocIDs(0),
	}
	for list, ids := range lists {
		name, _, _ := strings.Cut(list, "?")
		t.Run("the_next_token_leads_over_all_pages_of_"+name, func(t *testing.T) {
			for _, size := range []int{1, 2, 5} {
				if got := f.pages(t, "/v1/"+list, size); !slices.Equal(got, ids) {
					t.Errorf("pages of %d: got %q, want %q", size, got, ids)
				}
			}
		})
		if name == "jobs" {
			continue // with a prefix their order is not reversed, only the comparison of tokens: that ends nowhere
		}
		t.Run("reverse_is_the_other_way_round_of_"+name, func(t *testing.T) {
			got := f.pages(t, "/v1/"+list+"&reverse=true", 2)
			if slices.Reverse(got); !slices.Equal(got, ids) {
				t.Errorf("got %q, want the reverse of %q", got, ids)
			}
		})
	}
	t.Run("the_next_token_names_the_next", func(t *testing.T) {
		_, _, h := f.call(t, "GET", "/v1/jobs?per_page=1&prefix="+f.id, "")
		if got, want := h.Get("X-Nomad-Nexttoken"), "default."+f.id+"-b"; got != want {
			t.Errorf("jobs: got %q, want %q", got, want)
		}
		_, _, h = f.call(t, "GET", "/v1/deployments?per_page=1&filter="+f.filter(first, second), "")
		if got, want := h.Get("X-Nomad-Nexttoken"), fmt.Sprintf("%d.%s", second.CreateIndex, second.ID); got != want {
			t.Errorf("deployments: got %q, want %q", got, want)
		}
	})
	t.Run("a_prefix_or_a_filter_leaves_what_matches", func(t *testing.T) {
		alloc := f.alloc(f.running(second.JobVersion)[0].ID)
		for list, id := range map[string]string{"deployments": second.ID, "allocations": alloc.ID, "evaluations": alloc.EvalID, "nodes": alloc.NodeID} {
			for _, q := range []string{"prefix=" + id[:8], "filter=" + query("ID == %q", id), "filter=" + query("ID matches %q", "^"+id[:8])} {
				if got := f.pages(t, "/v1/"+list+"?"+q, 5); !slices.Equal(got, []string{id}) {
					t.Errorf("%s?%s: got %q, want %q", list, q, got, id)
				}
			}
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
			"Job": f.job(spec{count: 1, version: "3", progress: ample}), "Submission": api.JobSubmission{Source: "job {}", Format: "hcl2"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if status, text, _ := f.call(t, "POST", "/v1/jobs", string(body)); status != 200 {
			t.Fatalf("%d %s", status, text)
		}
		submission, _, err := f.nomad.Jobs().Submission(f.id, int(*f.versions()[0].Version), nil)
		if err != nil || submission.Source != "job {}" || submission.Format != "hcl2" {
			t.Errorf("%+v, %v", submission, err)
		}
	})
}

// query is a filter as it stands in an address.
func query(format string, args ...any) string { return url.QueryEscape(fmt.Sprintf(format, args...)) }

// filter leaves two deployments.
func (f *fixture) filter(a, b *api.Deployment) string {
	return query("ID == %q or ID == %q", a.ID, b.ID)
}

// more registers another job, which is nothing but listed.
func (f *fixture) more(t *testing.T, suffix string) string {
	t.Helper()
	job := f.job(spec{version: "1", progress: ample})
	job.ID = new(f.id + suffix)
	if _, _, err := f.nomad.Jobs().Register(job, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, _, err := f.nomad.Jobs().Deregister(*job.ID, true, nil); err != nil {
			t.Errorf("purge the job: %v", err)
		}
	})
	return *job.ID
}

// allocIDs are the allocations of a version, as they are listed.
func (f *fixture) allocIDs(version uint64) []string {
	var out []string
	for _, a := range f.allocs() {
		if a.JobVersion == version {
			out = append(out, a.ID)
		}
	}
	slices.Sort(out) // all were made at once
	return out
}

// pages follows the token of the next page to the end, and returns the IDs on all of them.
func (f *fixture) pages(t *testing.T, path string, size int) []string {
	t.Helper()
	var ids []string
	for token, left := "", 20; ; left-- {
		status, text, h := f.call(t, "GET", fmt.Sprintf("%s&per_page=%d&next_token=%s", path, size, url.QueryEscape(token)), "")
		var page []struct{ ID string }
		if err := json.Unmarshal([]byte(text), &page); err != nil || status != 200 {
			t.Fatalf("%s: %d %.300s", path, status, text)
		}
		for _, item := range page {
			ids = append(ids, item.ID)
		}
		if token = h.Get("X-Nomad-Nexttoken"); token == "" {
			return ids
		}
		if len(page) != size || left == 0 {
			t.Fatalf("%s: after %q comes %q again: %q", path, ids, token, page)
		}
	}
}
