# The ingress: nginx with weighted upstreams, from what consul-template stages, applied by `deployer ingress`.
#
#     nomad job run -var command=$PWD/bin/deployer jobs/ingress.nomad.hcl
#
# Two tasks, so that nginx goes on serving when the other one ends: nginx itself, and `deployer ingress`, which supervises
# consul-template, applies what it stages and drains nginx before each reload; Nomad's own template block cannot do that.
# nginx finishes the requests in flight before it ends. What it serves, and the last known good configuration, are in the
# state directory: a sticky disk brings it along to the next allocation on the same node.
#
# While one node's ingress is replaced, that node's port is closed. For updates without a gap run more than one
# (count) behind a balancer or DNS: they are updated one after the other, each when the one before is healthy.

variable "command" {
  description = "The deployer binary on the client: from the current directory if relative."
  type        = string
  default     = "bin/deployer"
}

variable "count" {
  description = "Ingress nodes."
  type        = number
  default     = 1
}

variable "listen" {
  description = "Address and port of nginx. The port is reserved in Nomad, so each node runs at most one ingress."
  type        = string
  default     = "127.0.0.1:8086"

  validation {
    condition     = regex_replace("=${var.listen}", "^=(\\[[0-9a-fA-F:.]+\\]|[^:\\s]+):[0-9]{1,5}$", "") == ""
    error_message = "Write an address and a port, such as 127.0.0.1:8086 or 0.0.0.0:80."
  }
}

variable "metrics_host" {
  description = "IP address at which the ingress serves its counts, on a port that Nomad gives. Deployers and Prometheus on other machines need one that reaches the node."
  type        = string
  default     = "127.0.0.1"
}

variable "node" {
  description = "Name of this ingress in Consul, weir/ingress/<node>; each node's own name unless set."
  type        = string
  default     = ""
}

variable "default_model" {
  description = "The model at /. Empty: the alphabetically first."
  type        = string
  default     = ""
}

variable "consul_addr" {
  description = "Consul agent of the node, host:port."
  type        = string
  default     = "127.0.0.1:8500"
}

variable "consul_template" {
  description = "Path of consul-template. Empty: found on PATH."
  type        = string
  default     = ""
}

variable "nginx" {
  description = "Path of nginx. Empty: found on PATH."
  type        = string
  default     = ""
}

variable "state_dir" {
  description = "Folder for configuration, last known good and logs. Empty: in the allocation's sticky data folder."
  type        = string
  default     = ""
}

variable "cpu" {
  description = "MHz of nginx."
  type        = number
  default     = 200
}

variable "memory" {
  description = "MiB of memory of nginx."
  type        = number
  default     = 256
}

variable "datacenters" {
  description = "Datacenters that may run the ingress."
  type        = list(string)
  default     = ["dc1"]
}

variable "namespace" {
  description = "Nomad namespace of the job."
  type        = string
  default     = "default"
}

locals {
  address = split(":", var.listen)
  command = regex_replace(var.command, "^/", "") != var.command ? var.command : abspath(var.command)

  dir     = var.state_dir == "" ? "${NOMAD_ALLOC_DIR}/data/ingress" : var.state_dir

  # Flags with a default of their own are given only where a variable is set.
  options = {
    "--default-model"   = var.default_model
    "--consul-template" = var.consul_template
    "--nginx"           = var.nginx
  }
  given = flatten([for flag, value in local.options : [flag, value] if value != ""])
}

job "weir-ingress" {
  type        = "service"
  namespace   = var.namespace
  datacenters = var.datacenters

  group "ingress" {
    count = var.count

    update {
      max_parallel      = 1
      health_check      = "checks"
      min_healthy_time  = "2s"
      healthy_deadline  = "1m"
      progress_deadline = "5m"
      auto_revert       = true
    }

    network {
      port "http" {
        static = local.address[length(local.address) - 1]
      }
      port "metrics" {}
    }

    # Bookkeeping for operators and balancers; Weir itself finds its ingresses in Consul's KV store.
    service {
      provider = "consul"
      name     = "weir-ingress"
      port     = "http"

      meta {
        metrics = "${var.metrics_host}:${NOMAD_PORT_metrics}" # where Prometheus finds it
      }

      check {
        name     = "port"
        type     = "tcp"
        interval = "2s"
        timeout  = "1s"
      }
    }

    # Start again at once: what has ended serves nobody.
    restart {
      attempts = 10
      interval = "5m"
      delay    = "100ms"
      mode     = "delay"
    }

    ephemeral_disk {
      sticky = true
    }

    # nginx is a task of its own: it goes on serving when the task that writes its configuration ends.
    task "nginx" {
      driver       = "raw_exec"
      kill_signal  = "SIGQUIT" # nginx finishes its requests
      kill_timeout = "30s"

      config {
        command = local.command
        args    = concat(["ingress", "nginx", "--dir", local.dir], var.nginx != "" ? ["--nginx", var.nginx] : [])
      }

      resources {
        cpu    = var.cpu
        memory = var.memory
      }
    }

    task "ingress" {
      driver       = "raw_exec"
      kill_signal  = "SIGTERM"
      kill_timeout = "30s"

      config {
        command = local.command
        args = concat([
          "ingress", "--external-nginx",
          "--dir", local.dir,
          "--listen", var.listen,
          "--metrics", "${var.metrics_host}:${NOMAD_PORT_metrics}",
          "--node", var.node == "" ? "${node.unique.name}" : var.node,
        ], local.given)
      }

      env {
        CONSUL_HTTP_ADDR = var.consul_addr
      }

      resources {
        cpu    = 100
        memory = 128
      }
    }
  }
}
