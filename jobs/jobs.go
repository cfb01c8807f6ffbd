// Package jobs holds the Nomad job specifications of Weir, for programs that submit them without a checkout at hand.
package jobs

import _ "embed"

// Names of the specifications, for messages about them.
const (
	InferenceFile = "inference.nomad.hcl"
	IngressFile   = "ingress.nomad.hcl"
	DeployerFile  = "deployer.nomad.hcl"
)

// Inference is the specification of one model: its variables say which release runs, and how.
//
//go:embed inference.nomad.hcl
var Inference []byte

// Ingress is the specification of the ingress: nginx and consul-template, run by `deployer ingress`.
//
//go:embed ingress.nomad.hcl
var Ingress []byte

// Deployer is the specification of the daemon: it guards all rollouts and serves the dashboard.
//
//go:embed deployer.nomad.hcl
var Deployer []byte
