job "functions" {
  meta {
    abs           = abs(-2)
    base64        = "${base64encode("hi")} ${base64decode("aGk=")}"
    can           = can(1 + "x")
    ceil          = "${ceil(1.2)} ${floor(1.8)} ${signum(-3)} ${pow(2, 3)} ${log(8, 2)} ${max(1, 2)} ${min(1, 2)}"
    chomp         = chomp("x\n")
    chunklist     = jsonencode(chunklist(["a", "b", "c"], 2))
    coalesce      = coalesce(null, "z")
    coalescelist  = jsonencode(coalescelist([], ["a"]))
    compact       = jsonencode(compact(["", "a"]))
    concat        = jsonencode(concat(["a"], ["b"]))
    contains      = contains(["a"], "a")
    convert       = jsonencode(convert("5", number))
    csv           = jsonencode(csvdecode("a,b\n1,2"))
    distinct      = jsonencode(distinct(["a", "a"]))
    element       = element(["a", "b"], 3)
    flatten       = jsonencode(flatten([["a"], [["b"]]]))
    format        = format("%05.2f|%s|%q|%d", 3.14159, "x", "y", 4)
    formatdate    = formatdate("YYYY-MM-DD", timeadd("2024-01-01T00:00:00Z", "24h"))
    formatlist    = jsonencode(formatlist("%s!", ["a", "b"]))
    indent        = indent(2, "a\nb")
    index         = "${index(["a", "b"], 1)}"
    join          = join(",", split(".", "a.b"))
    json          = jsonencode(jsondecode("{\"a\":[1,null,\"<&>\"]}"))
    keys          = jsonencode(keys({ b = 1, a = 2 }))
    length        = length([1, 2])
    lookup        = lookup({ a = 1 }, "b", "default")
    case          = "${lower("A")}${upper("b")}${title("cd ef")}"
    merge         = jsonencode(merge({ a = 1 }, { b = [true, null] }))
    parseint      = parseint("ff", 16)
    range         = jsonencode(range(3))
    replace       = "${replace("a.b", ".", "-")} ${regex_replace("a1b2", "[0-9]", "X")}"
    reverse       = "${reverse("ab")}${strrev("cd")}"
    sets          = jsonencode([setunion(["a"], ["b"]), setintersection(["a"], ["a", "b"])])
    setproduct    = jsonencode(setproduct(["a"], ["b", "c"]))
    digests       = "${md5("x")} ${sha1("x")} ${sha256("x")} ${sha512("x")}"
    slice         = jsonencode(slice(["a", "b", "c"], 1, 2))
    sort          = jsonencode(sort(["b", "a"]))
    strlen        = "${strlen("añb")} ${substr("hello", 1, 3)}"
    trim          = "${trim("?x?", "?")}${trimprefix("v1", "v")}${trimsuffix("a.pkl", ".pkl")}${trimspace(" y ")}"
    try           = try(jsondecode("{"), "fallback")
    urlencode     = urlencode("a b/c&d")
    values        = jsonencode(values({ b = 1, a = 2 }))
    zipmap        = jsonencode(zipmap(["a"], [1]))
    paths         = "${basename("/a/b")} ${dirname("/a/b")} ${fileexists("/nonexistent")}"
  }
}
