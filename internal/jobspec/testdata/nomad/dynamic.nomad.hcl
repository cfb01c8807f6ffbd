job "dynamic" {
  dynamic "group" {
    for_each = ["a", "b"]
    labels   = ["g-${group.value}"]
    content {
      count = group.key + 1
      meta {
        group = group.value
      }
      dynamic "service" {
        for_each = { web = 80, api = 81 }
        iterator = s
        content {
          name = "${group.value}-${s.key}"
          port = s.value
          tags = ["${NOMAD_ALLOC_ID}-${s.key}"]
        }
      }
      task "t" {
        driver = "raw_exec"
        dynamic "config" {
          for_each = [group.value]
          content {
            command = config.value
            mount {
              source = "${config.value}-${NOMAD_TASK_DIR}"
            }
          }
        }
        dynamic "config" {
          for_each = []
          content {
            image = "none"
          }
        }
        env {
          GROUP = "${NOMAD_GROUP_NAME}-${group.value}"
        }
      }
    }
  }
}
