package spec

import "github.com/hashicorp/hcl/v2"

// document is the file as it is written. The ranges say where, for errors.
type document struct {
	Strategy   *string        `hcl:"strategy,optional"` // canary, blue-green or shadow
	StrategyAt hcl.Range      `hcl:"strategy,attr_value_range"`
	Start      *string        `hcl:"start,optional"` // gate before the first request: auto or manual
	StartAt    hcl.Range      `hcl:"start,attr_value_range"`
	Bake       *string        `hcl:"bake,optional"` // of each step that has none of its own
	BakeAt     hcl.Range      `hcl:"bake,attr_value_range"`
	Watch      *string        `hcl:"watch,optional"`
	WatchAt    hcl.Range      `hcl:"watch,attr_value_range"`
	Place      *string        `hcl:"place,optional"`
	PlaceAt    hcl.Range      `hcl:"place,attr_value_range"`
	Settle     *string        `hcl:"settle,optional"`
	SettleAt   hcl.Range      `hcl:"settle,attr_value_range"`
	Blind      *string        `hcl:"blind,optional"`
	BlindAt    hcl.Range      `hcl:"blind,attr_value_range"`
	Namespace  *string        `hcl:"namespace,optional"`  // of Nomad
	Region     *string        `hcl:"region,optional"`     // of Nomad
	Datacenter *string        `hcl:"datacenter,optional"` // of Consul
	Keep       *int           `hcl:"keep,optional"`
	Notify     []string       `hcl:"notify,optional"`
	Steps      []stepBlock    `hcl:"step,block"`
	Hooks      []hookBlock    `hcl:"hook,block"`
	Analysis   *analysisBlock `hcl:"analysis,block"`
	Golden     *goldenBlock   `hcl:"golden,block"`
}

type stepBlock struct {
	Weight int       `hcl:"weight,optional"` // percent
	Shadow bool      `hcl:"shadow,optional"` // copies of the requests instead of a share of them
	Bake   *string   `hcl:"bake,optional"`
	BakeAt hcl.Range `hcl:"bake,attr_value_range"`
	Gate   *string   `hcl:"gate,optional"` // auto or manual
	At     hcl.Range `hcl:",def_range"`
}

type hookBlock struct {
	Name    string    `hcl:"name,label"`
	On      string    `hcl:"on"` // pre, step, post or abort
	Command []string  `hcl:"command,optional"`
	URL     *string   `hcl:"url,optional"`
	Timeout *string   `hcl:"timeout,optional"`
	At      hcl.Range `hcl:",def_range"`
}

// goldenBlock names a file of recorded requests and their expected answers.
type goldenBlock struct {
	File string    `hcl:"file"` // relative to the spec
	Abs  *float64  `hcl:"abs,optional"`
	Rel  *float64  `hcl:"rel,optional"`
	At   hcl.Range `hcl:",def_range"`
}

// analysisBlock changes single values of analysis.Default. A metric with enabled = false is not looked at, one with
// dry_run = true is judged and shown but never decides.
type analysisBlock struct {
	Enabled      *bool         `hcl:"enabled,optional"` // false: by health alone
	Alpha        *float64      `hcl:"alpha,optional"`
	MinRequests  *int          `hcl:"min_requests,optional"`
	MaxMissing   *float64      `hcl:"max_missing,optional"`
	Extend       *string       `hcl:"extend,optional"`
	SourceDown   *string       `hcl:"source_down,optional"`
	Inconclusive *string       `hcl:"inconclusive,optional"` // hold or abort
	Prometheus   *string       `hcl:"prometheus,optional"`   // URL of the server that answers the queries
	Errors       *rateBlock    `hcl:"errors,block"`
	Rejections   *rateBlock    `hcl:"rejections,block"`
	Attempts     *rateBlock    `hcl:"attempts,block"`
	Latency      *latencyBlock `hcl:"latency,block"`
	Classes      *shiftBlock   `hcl:"classes,block"`
	Scores       *shiftBlock   `hcl:"scores,block"`
	Split        *shiftBlock   `hcl:"split,block"`
	Shadow       *shadowBlock  `hcl:"shadow,block"`
	Queries      []queryBlock  `hcl:"query,block"`
	At           hcl.Range     `hcl:",def_range"`
}

type rateBlock struct {
	Enabled *bool    `hcl:"enabled,optional"`
	DryRun  *bool    `hcl:"dry_run,optional"`
	Ratio   *float64 `hcl:"ratio,optional"`
	Margin  *float64 `hcl:"margin,optional"`
	Max     *float64 `hcl:"max,optional"`
}

type latencyBlock struct {
	Enabled *bool    `hcl:"enabled,optional"`
	DryRun  *bool    `hcl:"dry_run,optional"`
	Ratio   *float64 `hcl:"ratio,optional"`
	Slack   *string  `hcl:"slack,optional"`
	Margin  *float64 `hcl:"margin,optional"`
}

type shiftBlock struct {
	Enabled   *bool    `hcl:"enabled,optional"`
	DryRun    *bool    `hcl:"dry_run,optional"`
	Tolerance *float64 `hcl:"tolerance,optional"`
}

type shadowBlock struct {
	DryRun   *bool    `hcl:"dry_run,optional"`
	Budget   *float64 `hcl:"budget,optional"`
	MinPairs *int     `hcl:"min_pairs,optional"`
	Abs      *float64 `hcl:"abs,optional"`
	Rel      *float64 `hcl:"rel,optional"`
}

type queryBlock struct {
	Name    string    `hcl:"name,label"`
	PromQL  string    `hcl:"promql"`
	DryRun  *bool     `hcl:"dry_run,optional"`
	Min     *float64  `hcl:"min,optional"`
	Max     *float64  `hcl:"max,optional"`
	InARow  *int      `hcl:"in_a_row,optional"`
	MinSeen *int      `hcl:"min_seen,optional"`
	At      hcl.Range `hcl:",def_range"`
}
