package consul

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/traffic"
)

// ErrConflict says that somebody else wrote the record in between: read it again.
var ErrConflict = errors.New("the record was changed by somebody else")

// Stored is a record with the index that the next write must name.
type Stored struct {
	rollout.Record
	Index uint64
}

// Save writes a record, unless somebody else did since it was read (ErrConflict). It sets the new index.
func (c *Client) Save(ctx context.Context, s *Stored) error {
	return c.save(ctx, s)
}

// SaveAsked is Save of a record that has a new request of an operator in it: its guardian hears of it.
func (c *Client) SaveAsked(ctx context.Context, s *Stored) error {
	return c.save(ctx, s, &api.TxnOp{KV: &api.KVTxnOp{
		Verb: api.KVSet, Key: traffic.AskedPrefix + s.Model, Value: []byte(s.ID),
	}})
}

func (c *Client) save(ctx context.Context, s *Stored, more ...*api.TxnOp) error {
	value, err := json.Marshal(s.Record)
	if err != nil {
		return fmt.Errorf("write record %s: %w", s.ID, err)
	}
	ops := api.TxnOps{{KV: &api.KVTxnOp{
		Verb: api.KVCAS, Key: traffic.RolloutKey(s.Model, s.ID), Value: value, Index: s.Index,
	}}}
	res, err := c.txn(ctx, append(ops, more...))
	if err != nil {
		return fmt.Errorf("save record %s: %w", s.ID, err)
	}
	s.Index = res[0].KV.ModifyIndex
	return nil
}

// txn carries out a transaction: all of it, or nothing with ErrConflict.
func (c *Client) txn(ctx context.Context, ops api.TxnOps) (api.TxnResults, error) {
	ok, res, _, err := c.api.Txn().Txn(ops, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return nil, err
	}
	if !ok {
		whats := make([]string, 0, len(res.Errors))
		for _, e := range res.Errors {
			whats = append(whats, e.What)
		}
		return nil, fmt.Errorf("%w (%s)", ErrConflict, strings.Join(whats, "; "))
	}
	return res.Results, nil
}

// Load reads one record.
func (c *Client) Load(ctx context.Context, model, id string) (Stored, error) {
	pair, _, err := c.api.KV().Get(traffic.RolloutKey(model, id), consistent(ctx))
	if err != nil {
		return Stored{}, fmt.Errorf("load record %s: %w", id, err)
	}
	if pair == nil {
		return Stored{}, fmt.Errorf("load record %s: %w", id, ErrNoRecord)
	}
	return decode(pair)
}

// Index returns the index of a record.
func (c *Client) Index(ctx context.Context, model, id string) (uint64, error) {
	pair, _, err := c.api.KV().Get(traffic.RolloutKey(model, id), consistent(ctx))
	if err != nil {
		return 0, fmt.Errorf("look at record %s: %w", id, err)
	}
	if pair == nil {
		return 0, fmt.Errorf("look at record %s: there is none", id)
	}
	return pair.ModifyIndex, nil
}

func decode(pair *api.KVPair) (Stored, error) {
	s := Stored{Index: pair.ModifyIndex}
	if err := json.Unmarshal(pair.Value, &s.Record); err != nil {
		return s, fmt.Errorf("read record %s: %w", pair.Key, err)
	}
	return s, nil
}

// History returns the records of a model, newest first. A record that can't be read is an error.
func (c *Client) History(ctx context.Context, model string) ([]Stored, error) {
	pairs, _, err := c.api.KV().List(traffic.RolloutsPrefix+model+"/", consistent(ctx))
	if err != nil {
		return nil, fmt.Errorf("list the rollouts of %s: %w", model, err)
	}
	out := make([]Stored, 0, len(pairs))
	for _, p := range slices.Backward(pairs) {
		s, err := decode(p)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// Prune deletes the oldest records of a model, so that keep are left. One that is not over stays.
func (c *Client) Prune(ctx context.Context, model string, keep int) error {
	keys, _, err := c.api.KV().Keys(traffic.RolloutsPrefix+model+"/", "", consistent(ctx))
	if err != nil {
		return fmt.Errorf("list the rollouts of %s: %w", model, err)
	}
	slices.Sort(keys)
	for _, key := range keys[:max(0, len(keys)-keep)] {
		s, err := c.Load(ctx, model, key[strings.LastIndexByte(key, '/')+1:])
		if err != nil || !s.Phase.Terminal() {
			continue // it can't be read, or a guardian needs it
		}
		del := &api.KVPair{Key: key, ModifyIndex: s.Index}
		if _, _, err := c.api.KV().DeleteCAS(del, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
			return fmt.Errorf("delete record %s: %w", key, err)
		}
	}
	return nil
}

// Active returns the newest record of a model and whether it is still under way.
func (c *Client) Active(ctx context.Context, model string) (Stored, bool, error) {
	keys, _, err := c.api.KV().Keys(traffic.RolloutsPrefix+model+"/", "", consistent(ctx))
	if err != nil {
		return Stored{}, false, fmt.Errorf("list the rollouts of %s: %w", model, err)
	}
	if len(keys) == 0 {
		return Stored{}, false, nil
	}
	newest := slices.Max(keys)
	s, err := c.Load(ctx, model, newest[strings.LastIndexByte(newest, '/')+1:])
	return s, err == nil && !s.Phase.Terminal(), err
}

// Models returns the names of all models with a record, a traffic key or an instance, sorted.
func (c *Client) Models(ctx context.Context) ([]string, error) {
	var models []string
	for _, prefix := range []string{traffic.RolloutsPrefix, traffic.TrafficPrefix} {
		keys, _, err := c.api.KV().Keys(prefix, "/", consistent(ctx))
		if err != nil {
			return nil, fmt.Errorf("list the models: %w", err)
		}
		for _, k := range keys {
			models = append(models, strings.Trim(strings.TrimPrefix(k, prefix), "/"))
		}
	}
	services, _, err := c.api.Catalog().Services(consistent(ctx))
	if err != nil {
		return nil, fmt.Errorf("list the models: %w", err)
	}
	for name, tags := range services {
		if slices.Contains(tags, traffic.ServiceTag) {
			models = append(models, name)
		}
	}
	slices.Sort(models)
	return slices.Compact(models), nil
}
