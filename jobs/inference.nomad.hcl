# One model, served by `count` instances of bin/inference. One Nomad job per model: the job's id is the model's name.
#
# By hand, from the root of a checkout (after `make build`):
#
#     nomad job run -var-file=jobs/blue.vars.hcl  jobs/inference.nomad.hcl     # v1.0.0
#     nomad job run -var-file=jobs/green.vars.hcl jobs/inference.nomad.hcl     # v1.1.0 beside it, as canaries
#
# The second run places a full set of canaries beside the running instances and stops there: Nomad waits for
# `nomad deployment promote`. `deployer deploy` does the same, and moves the traffic between the two.
#
# A release is what runs: `<model_version>-<8 hex>`, the hex from the hash of the inputs that make it (see locals). Its
# id is part of the environment of the task, so another release always means other processes, never a new label on
# old ones. package internal/release computes the same id in Go; change both together.

# ---- the model
#
# Nomad has no function that matches a pattern: a value matches when the pattern's replacement leaves nothing of it. The
# "=" in front keeps the empty value from matching.

variable "model" {
  description = "Name of the model: Nomad job, Consul service and path in nginx."
  type        = string

  validation {
    condition     = regex_replace("=${var.model}", "^=[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", "") == ""
    error_message = "A model's name has 1 to 63 of a-z, 0-9 and '-', with a letter or digit at both ends."
  }
}

variable "model_version" {
  description = "Version of the model, such as v1.0.0. /health and each prediction tell it."
  type        = string

  validation {
    condition     = regex_replace("=${var.model_version}", "^=[A-Za-z0-9][A-Za-z0-9._+-]{0,90}$", "") == ""
    error_message = "A version has 1 to 91 letters, digits and ._+- and starts with a letter or digit."
  }
}

variable "artifact" {
  description = <<-EOT
    Where the model file is: a path on the client, from the current directory if it is relative; or a URL that Nomad
    fetches and checks against the digest: http://, https://, s3::, gcs:: or git::. With docker: a URL, or an absolute
    path inside the image.
  EOT
  type        = string

  validation {
    condition     = var.artifact != ""
    error_message = "Say where the model file is: a path, or a URL."
  }
}

variable "digest" {
  description = "Digest of the model file: sha256:<64 hex>, the hex as `sha256sum <file>` prints it."
  type        = string

  validation {
    condition     = regex_replace("=${var.digest}", "^=sha256:[0-9a-f]{64}$", "") == ""
    error_message = "A digest is sha256:<64 hex digits in lower case>; sha256sum <file> prints the digits."
  }
}

# ---- the release's place beside others

variable "color" {
  description = "blue or green: the colour that the running release does not have."
  type        = string
  default     = "blue"

  validation {
    condition     = contains(["blue", "green"], var.color)
    error_message = "The colour is blue or green."
  }
}

variable "count" {
  description = "Instances of the release."
  type        = number
  default     = 2

  validation {
    condition     = var.count >= 1 && var.count == floor(var.count)
    error_message = "The count is a whole number from 1."
  }
}

variable "canary" {
  description = "Instances of a new release beside the old ones; null means count. Fewer cost capacity at the promote."
  type        = number
  default     = null

  validation {
    condition     = var.canary == null ? true : var.canary >= 0 && var.canary == floor(var.canary)
    error_message = "The number of canaries is a whole number from 0."
  }
}

variable "attempt" {
  description = "Anything new makes Nomad place the same release again after a failed try."
  type        = string
  default     = ""
}

# ---- how it runs

variable "driver" {
  description = "raw_exec or exec, which run command, or docker, which runs image."
  type        = string
  default     = "raw_exec"

  validation {
    condition     = contains(["raw_exec", "exec", "docker"], var.driver)
    error_message = "The driver is raw_exec, exec or docker."
  }
}

variable "command" {
  description = "The inference server on the client, for raw_exec and exec: from the current directory if relative."
  type        = string
  default     = "bin/inference"
}

variable "args" {
  description = "Further arguments of the inference server."
  type        = list(string)
  default     = []
}

variable "image" {
  description = "Image of the inference server, for docker."
  type        = string
  default     = ""
}

variable "cpu" {
  description = "MHz of each instance."
  type        = number
  default     = 100
}

variable "memory" {
  description = "MiB of memory of each instance."
  type        = number
  default     = 128
}

variable "env" {
  description = "Further settings of the server, such as MAX_CONCURRENCY, MAX_ROWS, LOG_REQUESTS or OpenTelemetry's OTEL_EXPORTER_OTLP_ENDPOINT; `inference -h` lists them."
  type        = map(string)
  default     = {}
}

variable "health_interval" {
  description = "Time between two checks of /health. A sick instance stays unseen for as long as this."
  type        = string
  default     = "1s"
}

variable "health_timeout" {
  description = "Time in which /health must answer."
  type        = string
  default     = "1s"
}

variable "shutdown_delay" {
  description = "Time from leaving Consul to the stop signal. Must be longer than nginx takes to notice: 1 s at worst."
  type        = string
  default     = "2s"
}

variable "kill_timeout" {
  description = "Time from the stop signal to SIGKILL. Must be longer than the longest request."
  type        = string
  default     = "10s"
}

variable "healthy_deadline" {
  description = "Time that a new instance has to load its model and pass its check."
  type        = string
  default     = "30s"
}

variable "restarts" {
  description = "Restarts in place per minute of a crashed instance. 0: it fails at once and is replaced after 5 s."
  type        = number
  default     = 0
}

# ---- where it runs

variable "datacenters" {
  description = "Datacenters that may run the instances."
  type        = list(string)
  default     = ["dc1"]
}

variable "namespace" {
  description = "Nomad namespace of the job."
  type        = string
  default     = "default"
}

locals {
  # The inputs that make a release, in this order. Not among them: colour, counts, update settings, attempt, place.
  inputs = concat([
    "model=${var.model}",
    "model_version=${var.model_version}",
    "digest=${var.digest}",
    "driver=${var.driver}",
    "command=${var.command}",
    "args=${jsonencode(var.args)}",
    "image=${var.image}",
    "cpu=${var.cpu}",
    "memory=${var.memory}",
    "health_interval=${var.health_interval}",
    "health_timeout=${var.health_timeout}",
    "shutdown_delay=${var.shutdown_delay}",
    "kill_timeout=${var.kill_timeout}",
  ], [for name, value in var.env : "env.${name}=${value}"])
  release = "${var.model_version}-${substr(sha256(join("\n", local.inputs)), 0, 8)}"

  canary = var.canary == null ? var.count : var.canary
  docker = var.driver == "docker"

  # A URL is fetched by Nomad into the task's directory; a path is read where it is. abspath works only where the file
  # is parsed on the user's machine, so it is not called for what is absolute already.
  fetched       = regex_replace(var.artifact, "^(https?://|(s3|gcs|git)::)", "") != var.artifact
  artifact_here = !local.fetched && regex_replace(var.artifact, "^/", "") == var.artifact
  command_here  = !local.docker && regex_replace(var.command, "^/", "") == var.command
  artifact      = local.artifact_here ? abspath(var.artifact) : var.artifact
  command       = local.command_here ? abspath(var.command) : var.command
}

job "inference" {
  id          = var.model
  name        = var.model
  type        = "service"
  namespace   = var.namespace
  datacenters = var.datacenters

  meta {
    weir_release       = local.release
    weir_attempt       = var.attempt
    weir_model_version = var.model_version
    weir_digest        = var.digest
    weir_color         = var.color
  }

  group "inference" {
    count          = var.count
    shutdown_delay = var.shutdown_delay

    # A new release comes up beside the old one at full size, and nothing stops until the promote. progress_deadline 0s
    # fails the deployment at the first unhealthy canary, not at a deadline; auto_revert then restores the old one.
    update {
      canary            = local.canary
      max_parallel      = var.count
      auto_promote      = false
      auto_revert       = true
      health_check      = "checks"
      min_healthy_time  = "1s"
      healthy_deadline  = var.healthy_deadline
      progress_deadline = "0s"
    }

    network {
      port "http" {}
    }

    service {
      provider    = "consul"
      name        = var.model
      port        = "http"
      tags        = ["weir"]
      canary_tags = ["weir"]

      # nginx routes by meta.release, never by tags or colour, so that a promote changes nothing in the traffic.
      meta {
        model         = var.model
        release       = local.release
        model_version = var.model_version
        digest        = var.digest
        color         = var.color
      }

      # Replaces meta while the instance is a canary: every key again.
      canary_meta {
        model         = var.model
        release       = local.release
        model_version = var.model_version
        digest        = var.digest
        color         = var.color
        canary        = "true"
      }

      check {
        name     = "health"
        type     = "http"
        path     = "/health"
        interval = var.health_interval
        timeout  = var.health_timeout
      }
    }

    restart {
      attempts = var.restarts
      interval = "1m"
      delay    = "1s"
      mode     = "fail"
    }

    # Instances of the stable release are replaced without end. (A failed canary ends its deployment instead.)
    reschedule {
      unlimited      = true
      delay          = "5s"
      delay_function = "exponential"
      max_delay      = "1m"
    }

    spread {
      attribute = "${node.unique.id}"
    }

    task "server" {
      driver       = var.driver
      kill_signal  = "SIGTERM"
      kill_timeout = var.kill_timeout

      dynamic "config" {
        for_each = local.docker ? [] : [local.command]
        content {
          command = config.value
          args    = var.args
        }
      }

      dynamic "config" {
        for_each = local.docker ? [var.image] : []
        content {
          image = config.value
          args  = var.args
          ports = ["http"]
        }
      }

      dynamic "artifact" {
        for_each = local.fetched ? [var.artifact] : []
        content {
          source      = artifact.value
          mode        = "file"
          destination = "local/model.pkl"
          options {
            checksum = var.digest
          }
        }
      }

      # Weir's own settings come last: var.env adds to them and replaces none.
      env = merge(var.env, {
        MODEL_NAME    = var.model
        MODEL_VERSION = var.model_version
        MODEL_RELEASE = local.release
        MODEL_COLOR   = var.color
        MODEL_DIGEST  = var.digest
        MODEL_PATH    = local.fetched ? "${NOMAD_TASK_DIR}/model.pkl" : local.artifact
        LISTEN_ADDR   = local.docker ? "0.0.0.0:${NOMAD_PORT_http}" : "${NOMAD_IP_http}:${NOMAD_PORT_http}"
      })

      resources {
        cpu    = var.cpu
        memory = var.memory
      }
    }
  }
}
