package bridge

import "testing"

// The connection before the last may fail to write only after the client, which has
// read more since, has come back once again.
func TestAVeryLateFailureTakesAResumedStreamNoFurtherBack(t *testing.T) {
	s := &stream{id: "c1"}
	old := s.attach(1)
	for n := range 10 {
		s.push(notice(t, n))
	}
	events, _ := s.take(old)
	s.take(s.resume(3, 1))

	resumed := s.resume(8, 1)
	s.fail(old, events[4].number)
	if got := numbers(s, resumed); got != "9 10" {
		t.Errorf("the client has 8 events and is given %q", got)
	}
}
