job "everything" {
  id          = "an-id"
  name        = "a-name"
  region      = "global"
  namespace   = "default"
  node_pool   = "all"
  type        = "service"
  priority    = "60"
  all_at_once = "true"
  datacenters = ["a", "b"]

  meta = { "dotted.key" = 1, flag = true }

  constraint {
    attribute = "${attr.kernel.name}"
    value     = "linux"
  }
  constraint {
    distinct_hosts = true
  }
  constraint {
    distinct_property = "${meta.rack}"
    value             = 2
  }
  constraint {
    attribute = "${attr.os.name}"
    regexp    = "deb.*"
  }
  constraint {
    attribute = "${attr.nomad.version}"
    version   = ">= 1.6"
  }
  constraint {
    attribute = "${attr.nomad.version}"
    semver    = ">= 1.6"
  }
  constraint {
    attribute    = "${meta.features}"
    set_contains = "a,b"
  }
  constraint {
    attribute = "${meta.gpu}"
    operator  = "is_set"
  }
  affinity {
    attribute = "${node.datacenter}"
    value     = "a"
    weight    = -50
  }
  affinity {
    attribute = "${attr.os.name}"
    regexp    = "deb.*"
  }
  spread {
    attribute = "${node.datacenter}"
    weight    = 50
    target "a" {
      percent = 70
    }
    target "b" {
      percent = 30
    }
  }
  update {
    stagger           = "30s"
    max_parallel      = 2
    canary            = 1
    health_check      = "task_states"
    min_healthy_time  = "10s"
    healthy_deadline  = 60000000000
    progress_deadline = "0s"
    auto_revert       = true
    auto_promote      = false
  }
  migrate {
    max_parallel     = 1
    health_check     = "checks"
    min_healthy_time = "10s"
    healthy_deadline = "5m"
  }
  reschedule {
    attempts       = 1
    interval       = "1h"
    delay          = "30s"
    delay_function = "exponential"
    max_delay      = "10m"
    unlimited      = false
  }

  group "first" {
    count                        = "3"
    shutdown_delay               = "5s"
    max_client_disconnect        = "1h"
    stop_after_client_disconnect = "1m30s"

    meta {
      number = 1.5
      flag   = false
    }
    restart {
      attempts = 2
      interval = "30m"
      delay    = "15s"
      mode     = "fail"
    }
    ephemeral_disk {
      sticky  = true
      migrate = true
      size    = 500
    }
    network {
      mode     = "bridge"
      hostname = "h"
      port "reserved" {
        static = 80
        to     = 8080
      }
      port "dynamic" {
        to           = -1
        host_network = "public"
      }
      port "plain" {}
      dns {
        servers  = ["1.1.1.1"]
        searches = ["example.org"]
        options  = ["ndots:2"]
      }
    }
    service {
      name                = "web"
      port                = 8080
      address             = "${attr.unique.platform.aws.public-ipv4}"
      address_mode        = "auto"
      tags                = ["a", "${NOMAD_ALLOC_ID}"]
      canary_tags         = ["b"]
      enable_tag_override = true
      on_update           = "ignore"
      provider            = "consul"
      task                = "main"
      meta {
        a = "1"
      }
      canary_meta {
        b = 2
      }
      check {
        name     = "script"
        type     = "script"
        command  = "/bin/check"
        args     = ["-v"]
        task     = "main"
        interval = "10s"
        timeout  = "2s"
        check_restart {
          limit           = 3
          grace           = "90s"
          ignore_warnings = true
        }
      }
      check {
        type                     = "http"
        method                   = "POST"
        path                     = "/health"
        protocol                 = "https"
        port                     = "plain"
        body                     = "{}"
        interval                 = "10s"
        timeout                  = "2s"
        initial_status           = "passing"
        success_before_passing   = 2
        failures_before_critical = 3
        tls_skip_verify          = true
        header {
          Accept = ["text/plain"]
          Two    = ["c", "d"]
        }
      }
      check_restart {
        limit = 1
      }
    }
    task "main" {
      driver         = "docker"
      user           = "nobody"
      leader         = true
      kill_signal    = "SIGINT"
      kill_timeout   = "20s"
      shutdown_delay = "3s"
      config {
        image   = "web:1"
        args    = ["-port", "${NOMAD_PORT_plain}", 1, true]
        float   = 1.5
        whole   = 2.0
        big     = 12345678901234
        nothing = null
        empty   = []
        object  = { a = 1, b = { c = ["d"] } }
        objects = [{ x = 1 }, { y = { z = 2 } }]
        port_map {
          http = 80
        }
        mount {
          type   = "bind"
          source = "local"
        }
        mount {
          type = "volume"
          options {
            deep = true
          }
        }
        labelled "x" {
          a = 1
        }
      }
      env {
        NUMBER = 1
        FLAG   = true
        TEXT   = "x"
      }
      meta = { owner = "ml" }
      resources {
        cpu        = 100
        memory     = 64
        memory_max = 128
      }
      logs {
        max_files     = 3
        max_file_size = 4
        disabled      = true
      }
      restart {
        attempts = 1
      }
      service {
        name = "task-level"
        port = "plain"
      }
      template {
        data                 = <<-EOT
          hello {{ key "x" }} ${NOMAD_TASK_NAME}
            indented
        EOT
        destination          = "local/a"
        change_mode          = "signal"
        change_signal        = "SIGHUP"
        splay                = "1s"
        perms                = "600"
        env                  = true
        left_delimiter       = "[["
        right_delimiter      = "]]"
        error_on_missing_key = true
        wait {
          min = "1s"
          max = "2s"
        }
      }
      template {
        source      = "local/tpl"
        destination = "local/b"
        change_mode = "script"
        change_script {
          command       = "/bin/reload"
          args          = ["a"]
          timeout       = "5s"
          fail_on_error = true
        }
      }
      template {
        destination = "local/c"
      }
      artifact {
        source      = "https://example.org/model.pkl"
        destination = "local/model.pkl"
        mode        = "file"
        options {
          checksum = "md5:x"
        }
        headers {
          Authorization = "b"
        }
      }
      artifact {
        source = "git::https://example.org/repo"
      }
    }
    task "side" {
      driver = "raw_exec"
      lifecycle {
        hook    = "prestart"
        sidecar = true
      }
      config {}
    }
  }

  group "second" {
    task "bare" {
      driver = "raw_exec"
    }
  }
}
