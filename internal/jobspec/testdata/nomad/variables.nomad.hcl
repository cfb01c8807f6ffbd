variable "text" {
  type    = string
  default = "default"
}

variable "inferred" {
  default = "default"
}

variable "whole" {
  type    = number
  default = 1
}

variable "flag" {
  type    = bool
  default = false
}

variable "list" {
  type    = list(string)
  default = []
}

variable "map" {
  type    = map(number)
  default = {}
}

variable "object" {
  type    = object({ x = number, y = list(string) })
  default = { x = 1, y = ["a"] }
}

variable "untyped" {
  default = null
}

variables {
  short = "default"
}

locals {
  both = "${var.text}+${local.second}"
}

locals {
  second = upper(var.short)
}

job "variables" {
  meta {
    text     = var.text
    inferred = var.inferred
    whole    = var.whole
    flag     = var.flag
    list     = jsonencode(var.list)
    map      = jsonencode(var.map)
    object   = jsonencode(var.object)
    untyped  = jsonencode(var.untyped)
    both     = local.both
  }
}
