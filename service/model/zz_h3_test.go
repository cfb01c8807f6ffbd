package model

import ("testing";"os";"bufio";"fmt";"strings";"encoding/hex";"unicode")

func TestUni(t *testing.T) {
	for _, v := range []string{"3.11.7","3.13.0"} {
	f,_ := os.Open("/tmp/h3/uni-"+v+".txt")
	sc := bufio.NewScanner(f)
	diffs := map[string]int{}
	for sc.Scan() {
		var c rune; var w,s,d int; var lo,u,a,cat string
		fmt.Sscan(sc.Text(), &c,&w,&s,&d,&lo,&u,&a,&cat)
		b2 := func(b bool) int { if b {return 1}; return 0 }
		h := func(b []byte) string { if len(b)==0 {return "-"}; return hex.EncodeToString(b) }
		text := []byte(string(c))
		ws := &words{}
		note := func(k string) { diffs[k]++; if cat != "Cn" && diffs[k] < 12 { t.Logf("%s %U %s %s %s", k, c, cat, lo, strings.ToLower(string(c))) } }
		if b2(isWord(c)) != w && cat != "Cn" { note("w") }
		if b2(isSpace(c)) != s && cat != "Cn"{ note("s") }
		if b2(unicode.Is(unicode.Nd,c)) != d && cat != "Cn"{ note("d") }
		if h(lower(nil,text)) != lo && cat != "Cn"{ note("lower") }
		if h(ws.stripAccents(nil,text,false)) != u && cat != "Cn"{ note("unicode") }
		if h(ws.stripAccents(nil,text,true)) != a && cat != "Cn"{ note("ascii") }
	}
	t.Log(v, unicode.Version, diffs)
	}
}
