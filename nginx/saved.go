package nginx

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
)

var generationForm = regexp.MustCompile(`^[0-9]{8,20}-[0-9a-f]{12}$`)

func (s *Server) sitePath(generation string) string { return s.path("conf", generation+".json") }

// saveSite keeps what a configuration serves beside it, for those who read the log of its workers.
func (s *Server) saveSite(generation string, site Site) error {
	text, err := json.Marshal(site)
	if err != nil {
		return fmt.Errorf("encode the site of %s: %w", generation, err)
	}
	if err := os.WriteFile(s.sitePath(generation), text, 0o644); err != nil {
		return fmt.Errorf("save the site of %s: %w", generation, err)
	}
	return nil
}

// Site returns what the workers of a generation serve. The last ones are kept, as many as configurations.
func (s *Server) Site(generation string) (Site, error) {
	var site Site
	if !generationForm.MatchString(generation) {
		return site, fmt.Errorf("generation %.50q: want <number>-<digest>", generation)
	}
	text, err := os.ReadFile(s.sitePath(generation))
	if err != nil {
		return site, fmt.Errorf("read the site of %s: %w", generation, err)
	}
	if err := json.Unmarshal(text, &site); err != nil {
		return site, fmt.Errorf("read the site of %s: %w", generation, err)
	}
	return site, nil
}

// AccessLog is the path of the log of requests, "" where it is off.
func (s *Server) AccessLog() string {
	switch s.set.AccessLog {
	case "":
		return s.path("logs", "access.log")
	case "off":
		return ""
	}
	return s.set.AccessLog
}
