# Written by `deployer ingress` at each start.
consul {
  address = "127.0.0.1:8500"
  retry {
    enabled     = true
    attempts    = 0 # for ever: without Consul the last known good stays
    backoff     = "100ms"
    max_backoff = "1s"
  }
}

# Every read is the leader's word.
max_stale = "0s"

log_level            = "warn"
kill_signal          = "SIGTERM"
template_error_fatal = false

# There is no command: the ingress watches the staged files. A command that fails can end consul-template.

template {
  source               = "/run/weir/weights.json.ctmpl"
  destination          = "/run/weir/staged/weights.json"
  perms                = 0644
  error_on_missing_key = false
  error_fatal          = false
}

template {
  source               = "/run/weir/endpoints.json.ctmpl"
  destination          = "/run/weir/staged/endpoints.json"
  perms                = 0644
  error_on_missing_key = false
  error_fatal          = false
}
