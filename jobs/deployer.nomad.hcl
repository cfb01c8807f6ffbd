# The deployer as a guard: `deployer guard` watches all rollouts and takes over each one whose own deployer died, at the
# step where it stood. Without any guard a rollout that lost its deployer goes back to the stable release.
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
  description = "Guards. More than one shortens the gap when a node dies."
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

variable "cpu" {
  description = "MHz of a guard."
  type        = number
  default     = 100
}

variable "memory" {
  description = "MiB of memory of a guard."
  type        = number
  default     = 128
}

variable "datacenters" {
  description = "Datacenters that may run a guard."
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

    # A guard that cannot reach Consul or Nomad ends; it is started again until it can.
    restart {
      attempts = 10
      interval = "5m"
      delay    = "2s"
      mode     = "delay"
    }

    task "guard" {
      driver       = "raw_exec"
      kill_signal  = "SIGTERM"
      kill_timeout = "30s"

      config {
        command = local.command
        args    = ["guard"]
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
