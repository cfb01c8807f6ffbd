// Package traffic is the vocabulary that the deployer and the ingress share: the documents in Consul's KV store that
// say which release of a model gets which share of the requests, and the service meta that names an instance's release.
//
// All keys live under "weir/". Values are JSON.
//
//	weir/traffic/<model>/stable   Stable   persistent
//	weir/traffic/<model>/canary   Canary   ephemeral: owned by the guardian's session, deleted with it
//	weir/ingress/<node>           Ingress  ephemeral: owned by the ingress's session
//	weir/rollouts/<model>/<id>    the record of a rollout (package deployer/rollout)
//	weir/lease/<model>            the guardian's lease, held by its session
//	weir/asked/<model>            the rollout in whose record somebody left a request last
package traffic

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Prefixes of Weir's keys in Consul KV.
const (
	Root           = "weir/"
	TrafficPrefix  = "weir/traffic/"
	IngressPrefix  = "weir/ingress/"
	RolloutsPrefix = "weir/rollouts/"
	LeasePrefix    = "weir/lease/"
	AskedPrefix    = "weir/asked/"
)

// ServiceTag marks the Consul services that Weir routes to.
const ServiceTag = "weir"

// Keys of the Consul service meta that each instance carries.
const (
	MetaRelease = "release"
	MetaModel   = "model"
	MetaVersion = "model_version"
	MetaDigest  = "digest"
	MetaColor   = "color"
	MetaCanary  = "canary" // "true" while Nomad holds the instance as an unpromoted canary
)

// Headers of Weir on HTTP requests and answers.
const (
	HeaderRelease = "X-Model-Release" // answer: the release that computed it
	HeaderForce   = "X-Weir-Release"  // request: asks for one release, honoured from configured addresses only
	HeaderShadow  = "X-Weir-Shadow"   // request: "1" on a copy, whose answer nobody sees
)

// NoRelease is the stable release of a model that must not get traffic yet.
const NoRelease = "none"

// StaleAfter is how long an ingress trusts its last sight of Consul. Past it, it sends nothing to a canary.
const StaleAfter = 15 * time.Second

// Stable names the release that owns the traffic of a model.
type Stable struct {
	Release  string `json:"release"`            // release id, or NoRelease
	Epoch    uint64 `json:"epoch"`              // grows by one with every change of either key
	Previous string `json:"previous,omitempty"` // the release that was stable before, for going back
}

// Canary names the release under trial and its share of the requests.
type Canary struct {
	Release string `json:"release"`
	Weight  int    `json:"weight"` // percent of requests, 0 to 100
	Epoch   uint64 `json:"epoch"`
	Shadow  int    `json:"shadow,omitempty"` // percent of requests mirrored to the canary, 0 to 100; only at weight 0
}

// Ingress is what one ingress really serves, read back through its nginx.
type Ingress struct {
	Epoch      map[string]string `json:"epoch"` // model → ServedEpoch
	RenderedAt time.Time         `json:"rendered_at"`
	Stale      bool              `json:"stale,omitempty"`   // no fresh Consul data for StaleAfter: canaries get nothing
	Metrics    string            `json:"metrics,omitempty"` // host:port where it tells what it counts; "": it does not
}

// ServedEpoch formats the epochs that an ingress serves for one model: "<stable>/<canary>", or "<stable>/-" while no
// canary is routed.
func ServedEpoch(stable uint64, canary *Canary) string {
	if canary == nil {
		return strconv.FormatUint(stable, 10) + "/-"
	}
	return fmt.Sprintf("%d/%d", stable, canary.Epoch)
}

// StableKey is the key of the Stable of a model.
func StableKey(model string) string { return TrafficPrefix + model + "/stable" }

// CanaryKey is the key of the Canary of a model.
func CanaryKey(model string) string { return TrafficPrefix + model + "/canary" }

// IngressKey is the key of the Ingress of a node.
func IngressKey(node string) string { return IngressPrefix + node }

// RolloutKey is the key of a rollout's record.
func RolloutKey(model, id string) string { return RolloutsPrefix + model + "/" + id }

// LeaseKey is the key that the guardian of a model's rollout holds.
func LeaseKey(model string) string { return LeasePrefix + model }

var (
	modelName   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	releaseName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,90}-[0-9a-f]{8}$`)
)

// CheckModel returns an error unless name can be a job, a Consul service (a DNS label) and a path segment.
func CheckModel(name string) error {
	if !modelName.MatchString(name) {
		return fmt.Errorf("model name %q: want 1 to 63 of a-z, 0-9 and '-', with a letter or digit at both ends", name)
	}
	return nil
}

// CheckRelease returns an error unless id has the form "<model_version>-<8 hex digits>".
func CheckRelease(id string) error {
	if !releaseName.MatchString(id) {
		return fmt.Errorf("release id %q: want <model_version>-<8 hex digits>, of letters, digits and ._+-", id)
	}
	return nil
}
