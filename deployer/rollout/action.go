package rollout

// Action is something to do to the world. Each is idempotent.
type Action interface{ action() }

type (
	// AdoptStable writes the stable key of a model that has none. Release may be None.
	AdoptStable struct {
		Release string
		Epoch   uint64
	}
	// Register registers the record's job.
	Register struct{}
	// SetCanary writes the ephemeral canary key.
	SetCanary struct {
		Release string
		Weight  int
		Epoch   uint64
		Shadow  bool // the canary gets copies of stable's requests, and nobody sees its answers
	}
	// SetStable writes the stable key and deletes the canary key, in one transaction.
	SetStable struct {
		Release  string
		Previous string
		Epoch    uint64
	}
	// Promote promotes a Nomad deployment. A refusal is reported in Record.PromoteRefused.
	Promote struct{ Deployment string }
	// FailDeployment fails a Nomad deployment.
	FailDeployment struct{ Deployment string }
	// RestoreJob makes the stable release's version the job's current one again.
	RestoreJob struct{ Version uint64 }
	// StopJob stops a job that has no release to go back to.
	StopJob struct{}
	// RunHook starts a hook of the spec, unless it runs already. How it ended comes with Observation.Hooks.
	RunHook struct{ Key, Name string }
	// Collect starts to read the evidence, which comes with Observation.Evidence.
	Collect struct{}
)

func (AdoptStable) action()    {}
func (Register) action()       {}
func (SetCanary) action()      {}
func (SetStable) action()      {}
func (Promote) action()        {}
func (FailDeployment) action() {}
func (RestoreJob) action()     {}
func (StopJob) action()        {}
func (RunHook) action()        {}
func (Collect) action()        {}
