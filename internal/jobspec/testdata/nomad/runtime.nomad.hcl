locals {
  addr  = "${NOMAD_ADDR_http}"
  names = { for i, name in ["x", "y"] : name => "${name}-${i}-${NOMAD_ALLOC_INDEX}" }
}

job "runtime" {
  group "g" {
    task "t" {
      driver = "raw_exec"
      env {
        A = "${NOMAD_IP_http}:${NOMAD_PORT_http}"
        B = "${env["HOME"]}"
        C = "${attr.unique.hostname}-${meta.some-key}"
        D = "${ NOMAD_TASK_DIR }"
        E = "$${escaped} %%{escaped}"
        F = "before ${NOMAD_DC} between ${upper("q")} after"
        G = NOMAD_META_bare
        H = attr.kernel.name
        I = upper(NOMAD_JOB_NAME)
        J = "${NOMAD_DC == "a" ? 1 : 2}"
        K = "${foo.bar[0].baz}"
        L = "${each.key}${self}${count.index}"
        M = local.addr
        N = local.names.y
        O = [for x in ["a", "b"] : "${x}-${NOMAD_DC}"][1]
        P = "%{if true}yes ${NOMAD_DC}%{else}no%{endif}"
        Q = "${convert(5, string)}${jsonencode(convert(["1"], list(number)))}"
        R = try(nope.x[0], "fallback")
      }
    }
  }
}
