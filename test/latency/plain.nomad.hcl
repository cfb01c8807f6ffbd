# A model as Nomad alone would update it: canaries, promoted and reverted by Nomad itself. Its times are set so that Nomad
# is as quick as it can be: it doesn't wait for a deadline nor for a restart before it reverts.

variable "model" {
  type = string
}

variable "release" {
  type = string
}

variable "command" {
  type = string
}

variable "args" {
  type = list(string)
}

variable "artifact" {
  type = string
}

job "plain" {
  id   = var.model
  type = "service"

  group "model" {
    count = 2

    update {
      canary            = 2
      max_parallel      = 2
      auto_promote      = true
      auto_revert       = true
      health_check      = "checks"
      min_healthy_time  = "5s"
      healthy_deadline  = "30s"
      progress_deadline = "0s"
    }

    network {
      port "http" {}
    }

    service {
      name = var.model
      port = "http"

      meta {
        release = var.release
      }

      check {
        type     = "http"
        path     = "/health"
        interval = "1s"
        timeout  = "1s"
      }
    }

    restart {
      attempts = 0
      mode     = "fail"
    }

    reschedule {
      unlimited = true
      delay     = "5s"
    }

    task "server" {
      driver = "raw_exec"

      config {
        command = var.command
        args    = var.args
      }

      env {
        MODEL_NAME    = var.model
        MODEL_VERSION = "v1.0.0"
        MODEL_RELEASE = var.release
        MODEL_PATH    = var.artifact
        LISTEN_ADDR   = "${NOMAD_IP_http}:${NOMAD_PORT_http}"
      }

      resources {
        cpu    = 100
        memory = 128
      }
    }
  }
}
