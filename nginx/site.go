package nginx

import (
	"fmt"
	"net/netip"

	"github.com/weirhq/weir/internal/traffic"
)

// Site is what an ingress serves: the content of nginx's configuration that comes from Consul.
type Site struct {
	Default string  // the model at "/"; "" while none is known
	Models  []Model // sorted by name
	Stale   bool    // no fresh Consul data: the canaries get nothing
}

// Model is the traffic of one model.
type Model struct {
	Name     string
	Epoch    string    // the served epoch, as traffic.ServedEpoch formats it
	Shares   []Share   // who gets how much of the requests; percents add up to 100. Empty: nothing serves, see Nothing
	Nothing  Nothing   // why nothing serves
	Releases []Release // what a forced request may reach, sorted by release
	Shadow   *Shadow   // who gets copies of the requests; nil: nobody
}

// Share is a part of a model's requests.
type Share struct {
	Release string     // release id; "" for a mixed pool of instances without a record, or with Nothing set
	Percent int        // 1 to 100
	Primary []Instance // tried first. Empty: requests of this share are answered with Nothing
	Backup  []Instance // tried when no primary answers
	Nothing Nothing    // why Primary is empty
}

// Shadow is a release that gets copies of a model's requests. Nobody sees its answers.
type Shadow struct {
	Release
	Percent int // of the requests, 1 to 100
}

// Release is the instances of one release and nothing else.
type Release struct {
	ID        string
	Instances []Instance
}

// Instance is one running server of a model.
type Instance struct {
	Addr   netip.AddrPort `json:"addr"`
	Weight int            `json:"weight"` // relative to the other instances of its release, 1 to 65535
}

// Nothing says why requests can't be sent anywhere.
type Nothing string

// Why nothing serves.
const (
	NoRelease  Nothing = "weir_no_release"  // the record says so: stable is none
	NoInstance Nothing = "weir_no_instance" // no instance of the release has ever passed its checks
)

// Check refuses what would not make a valid and safe configuration. Whoever builds a Site has checked it before: this
// is the last line before text from Consul becomes nginx's configuration.
func (s Site) Check() error {
	if s.Default != "" {
		if err := traffic.CheckModel(s.Default); err != nil {
			return err
		}
	}
	for _, m := range s.Models {
		if err := m.check(); err != nil {
			return fmt.Errorf("model %q: %w", m.Name, err)
		}
	}
	return nil
}

func (m Model) check() error {
	if err := traffic.CheckModel(m.Name); err != nil {
		return err
	}
	if !epochForm.MatchString(m.Epoch) {
		return fmt.Errorf("epoch %q: want <stable>/<canary or ->", m.Epoch)
	}
	sum := 0
	for _, s := range m.Shares {
		sum += s.Percent
		if err := s.check(); err != nil {
			return err
		}
	}
	if len(m.Shares) > 0 && sum != 100 {
		return fmt.Errorf("shares add up to %d %%, want 100", sum)
	}
	if len(m.Shares) == 0 && !m.Nothing.known() {
		return fmt.Errorf("no shares and no reason for it (%q)", m.Nothing)
	}
	for _, r := range m.Releases {
		if err := r.check(); err != nil {
			return err
		}
	}
	if m.Shadow == nil {
		return nil
	}
	if m.Shadow.Percent < 1 || m.Shadow.Percent > 100 {
		return fmt.Errorf("copies for release %s: %d %%, want 1 to 100", m.Shadow.ID, m.Shadow.Percent)
	}
	return m.Shadow.check()
}

func (r Release) check() error {
	if err := traffic.CheckRelease(r.ID); err != nil {
		return err
	}
	if err := checkInstances(r.Instances); err != nil {
		return fmt.Errorf("release %s: %w", r.ID, err)
	}
	return nil
}

func (s Share) check() error {
	if s.Release != "" {
		if err := traffic.CheckRelease(s.Release); err != nil {
			return err
		}
	}
	if s.Percent < 1 || s.Percent > 100 {
		return fmt.Errorf("share of release %q: %d %%, want 1 to 100", s.Release, s.Percent)
	}
	if len(s.Primary) == 0 {
		if !s.Nothing.known() {
			return fmt.Errorf("share of release %q: no instances and no reason for it (%q)", s.Release, s.Nothing)
		}
		return nil
	}
	if err := checkInstances(s.Primary); err != nil {
		return err
	}
	if len(s.Backup) == 0 {
		return nil
	}
	return checkInstances(s.Backup)
}

func checkInstances(instances []Instance) error {
	if len(instances) == 0 {
		return fmt.Errorf("no instances")
	}
	for _, s := range instances {
		if !s.Addr.IsValid() || s.Addr.Port() == 0 || s.Addr.Addr().Zone() != "" {
			return fmt.Errorf("instance %s: want an IP address and a port", s.Addr)
		}
		if s.Weight < 1 || s.Weight > 65535 {
			return fmt.Errorf("instance %s: weight %d, want 1 to 65535", s.Addr, s.Weight)
		}
	}
	return nil
}

func (n Nothing) known() bool { return n == NoRelease || n == NoInstance }
