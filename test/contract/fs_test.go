package contract

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"
)

func TestFiles(t *testing.T) {
	f := newFixture(t)
	f.deployed(spec{count: 1, version: "7", progress: ample})
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
