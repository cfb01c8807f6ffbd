# The deployer as a daemon: `deployer serve` watches all rollouts and takes over each one whose own deployer died, at the
# step where it stood, and serves the dashboard and the API. Without any daemon a rollout that lost its deployer goes back
# to the stable release.
#
#     nomad job run -var command=$PWD/bin/deployer jobs/deployer.nomad.hcl
#
# One is enough: Nomad replaces it when it dies, and a lease in Consul lets only one act on a rollout at a time. Where
# ACLs are on, give it tokens in the environment of the client, or by a template block that reads Nomad variables; not
# by a variable of this file, which everyone who may read the job could see.

variable "command" {
  description = "The deployer binary on the client: from the current directory if relative."
  type        = string
  default     = "bin/deployer"
}

variable "count" {
  description = "Daemons, each on a node of its own. More than one shortens the gap when a node dies."
  type        = number
  default     = 1
}

variable "consul_addr" {
  description = "Consul agent of the node, host:port."
  type        = string
  default     = "127.0.0.1:8500"
}

variable "nomad_addr" {
  description = "Nomad's HTTP address."
  type        = string
  default     = "http://127.0.0.1:4646"
}

variable "listen" {
  description = "Where the dashboard and the API are. Another address than loopback takes tokens."
  type        = string
  default     = "127.0.0.1:8088"
}

variable "tokens" {
  description = "File of tokens on the client, as `deployer token` makes them; empty for none."
  type        = string
  default     = ""
}

variable "cpu" {
  description = "MHz of a daemon."
  type        = number
  default     = 100
}

variable "memory" {
  description = "MiB of memory of a daemon."
  type        = number
  default     = 128
}

variable "datacenters" {
  description = "Datacenters that may run a daemon."
  type        = list(string)
  default     = ["dc1"]
}

variable "namespace" {
  description = "Nomad namespace of the job."
  type        = string
  default     = "default"
}

locals {
  command = regex_replace(var.command, "^/", "") != var.command ? var.command : abspath(var.command)
}

job "weir-deployer" {
  type        = "service"
  namespace   = var.namespace
  datacenters = var.datacenters

  group "deployer" {
    count = var.count

    update {
      max_parallel      = 1
      health_check      = "task_states"
      min_healthy_time  = "2s"
      healthy_deadline  = "1m"
      progress_deadline = "5m"
      auto_revert       = true
    }

    # A daemon that cannot serve ends; it is started again until it can.
    restart {
      attempts = 10
      interval = "5m"
      delay    = "2s"
      mode     = "delay"
    }

    constraint {
      operator = "distinct_hosts"
      value    = "true"
    }

    task "serve" {
      driver       = "raw_exec"
      kill_signal  = "SIGTERM"
      kill_timeout = "30s"

      config {
        command = local.command
        args    = compact(["serve", "--listen=${var.listen}", var.tokens == "" ? "" : "--tokens=${var.tokens}"])
      }

      env {
        CONSUL_HTTP_ADDR = var.consul_addr
        NOMAD_ADDR       = var.nomad_addr
      }

      resources {
        cpu    = var.cpu
        memory = var.memory
      }
    }
  }
}
