package devnomad

import (
	"encoding/json"
	"slices"
	"strings"
)

// event is one change, as the event stream shows it.
type event struct {
	Topic      string
	Type       string
	Key        string
	Namespace  string
	FilterKeys []string
	Index      uint64
	Payload    json.RawMessage
}

// emit notes an event of this write. A later one of the same thing within the write replaces it.
func (tx *txn) emit(topic, key string, filterKeys []string, payload func() any) {
	body, err := json.Marshal(map[string]any{topic: payload()})
	if err != nil {
		return // API types always marshal
	}
	e := event{
		Topic: topic, Type: tx.kind, Key: key, Namespace: "default", FilterKeys: filterKeys, Index: tx.index, Payload: body,
	}
	if topic == "Node" {
		e.Namespace = ""
	}
	same := func(o event) bool { return o.Topic == topic && o.Key == key }
	tx.emitted = append(slices.DeleteFunc(tx.emitted, same), e)
}

// maxEventBytes bounds the payloads of the buffer.
const maxEventBytes = 16 << 20

// publish adds events to the buffer, and drops the oldest where they are too many or too big.
func (s *store) publish(events []event) {
	s.events = append(s.events, events...)
	for _, e := range events {
		s.eventBytes += len(e.Payload)
	}
	for len(s.events) > maxEvents || s.eventBytes > maxEventBytes {
		s.dropped = s.events[0].Index
		s.eventBytes -= len(s.events[0].Payload)
		s.events = s.events[1:] // readers may hold it; appending copies what is left when the array is full
	}
}

// eventsAfter returns the buffered events above an index, and whether older ones than the buffer holds were asked for.
func (s *store) eventsAfter(index uint64) (after []event, lost bool) {
	from, _ := slices.BinarySearchFunc(s.events, index+1, func(e event, i uint64) int {
		switch {
		case e.Index < i:
			return -1
		case e.Index > i:
			return 1
		}
		return 0
	})
	return s.events[from:len(s.events):len(s.events)], index > 0 && index < s.dropped
}

// topics are the filters of a subscription: topic → keys, "*" for all.
type topics map[string][]string

// parseTopics reads "Topic:key" filters; none means everything.
func parseTopics(filters []string) topics {
	t := topics{}
	for _, f := range filters {
		topic, key, found := strings.Cut(f, ":")
		if !found {
			key = "*"
		}
		t[topic] = append(t[topic], key)
	}
	if len(t) == 0 {
		t["*"] = []string{"*"}
	}
	return t
}

func (t topics) match(e event) bool {
	for _, topic := range []string{"*", e.Topic} {
		for _, key := range t[topic] {
			if key == "*" || key == e.Key || slices.Contains(e.FilterKeys, key) {
				return true
			}
		}
	}
	return false
}
