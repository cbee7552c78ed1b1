package tools

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

func TestTurnsOfOneUserComeInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all turns
		var order []int
		for i := range 50 {
			wait, done := all.take("a")
			go func() {
				defer done()
				if err := wait(context.Background()); err != nil {
					t.Error(err)
				}
				order = append(order, i) // no lock: the turns are one
			}()
		}
		synctest.Wait()
		for i, got := range order {
			if got != i {
				t.Fatalf("order %v", order)
			}
		}
		if len(order) != 50 || len(all.last) != 0 {
			t.Errorf("%d ran, %d are left", len(order), len(all.last))
		}
	})
}

func TestTurnsOfOthersDoNotWait(t *testing.T) {
	var all turns
	_, done := all.take("a")
	defer done()
	wait, doneOther := all.take("b")
	defer doneOther()
	if err := wait(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestLeavingEarlyLetsNoOnePass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all turns
		_, firstDone := all.take("a")
		wait, secondDone := all.take("a")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := wait(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		secondDone()
		ran := false
		waitThird, thirdDone := all.take("a")
		go func() {
			defer thirdDone()
			if err := waitThird(context.Background()); err != nil {
				t.Error(err)
			}
			ran = true
		}()
		synctest.Wait()
		if ran {
			t.Error("the third ran before the first was done")
		}
		firstDone()
		synctest.Wait()
		if !ran || len(all.last) != 0 {
			t.Errorf("ran %v, %d are left", ran, len(all.last))
		}
	})
}
