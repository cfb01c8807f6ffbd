package nomad

import (
	"context"
	"time"

	"github.com/hashicorp/nomad/api"
)

// Watch calls wake after every event of a model's job, deployments and allocations, until the context ends. Events
// are hints: the stream may lose some, so each is only a reason to look. It blocks.
func (c *Client) Watch(ctx context.Context, model string, wake func()) {
	const pause = 500 * time.Millisecond
	topics := map[api.Topic][]string{
		api.TopicJob: {model}, api.TopicDeployment: {model}, api.TopicAllocation: {model},
	}
	for ctx.Err() == nil {
		c.stream(ctx, topics, wake)
		wake() // what happened while there was no stream is not known
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (c *Client) stream(ctx context.Context, topics map[api.Topic][]string, wake func()) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := c.api.EventStream().Stream(ctx, topics, 0, &api.QueryOptions{})
	if err != nil {
		return
	}
	for e := range events {
		if e.Err != nil {
			return
		}
		if len(e.Events) > 0 {
			wake()
		}
	}
}
