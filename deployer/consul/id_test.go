package consul

import (
	"testing"
	"time"
)

// Whatever the clocks say, a new record's id sorts after that of the record before it.
func TestIDsSortByTheOrderOfTheRecords(t *testing.T) {
	now := time.Date(2026, 11, 24, 18, 0, 0, 0, time.UTC)
	earlier := ""
	for _, clock := range []time.Time{now, now.Add(time.Second), now.Add(-time.Hour), now.Add(-time.Hour), now.Add(time.Hour)} {
		made := NewID(clock)
		id := IDAfter(made, earlier)
		if id <= earlier {
			t.Errorf("with the clock at %s: %s does not sort after %s", clock, id, earlier)
		}
		if made > earlier && id != made {
			t.Errorf("%s became %s without need", made, id)
		}
		earlier = id
	}
	if id := IDAfter("20261124T180000.000Z-abcdef", "no id"); id != "20261124T180000.000Z-abcdef" {
		t.Errorf("after what is no id: %s", id)
	}
}
