package devauth

import (
	"container/list"
	"time"
)

// bounded is a table with a greatest size and one life for all of its entries,
// so that the order of insertion is also the order of expiry. The caller locks.
type bounded[V any] struct {
	limit   int
	ttl     time.Duration // 0: for ever
	now     func() time.Time
	entries map[string]*list.Element
	order   *list.List // of boundedEntry[V], oldest first
}

type boundedEntry[V any] struct {
	key   string
	value V
	end   time.Time
}

func newBounded[V any](limit int, ttl time.Duration, now func() time.Time) *bounded[V] {
	return &bounded[V]{limit: limit, ttl: ttl, now: now, entries: map[string]*list.Element{}, order: list.New()}
}

func (b *bounded[V]) put(key string, value V) {
	b.delete(key)
	b.sweep()
	for b.order.Len() >= b.limit {
		b.remove(b.order.Front())
	}
	entry := boundedEntry[V]{key: key, value: value, end: b.now().Add(b.ttl)}
	b.entries[key] = b.order.PushBack(entry)
}

func (b *bounded[V]) get(key string) (V, bool) {
	b.sweep()
	element, ok := b.entries[key]
	if !ok {
		var none V
		return none, false
	}
	return element.Value.(boundedEntry[V]).value, true
}

func (b *bounded[V]) delete(key string) {
	if element, ok := b.entries[key]; ok {
		b.remove(element)
	}
}

func (b *bounded[V]) sweep() {
	if b.ttl == 0 {
		return
	}
	now := b.now()
	for front := b.order.Front(); front != nil; front = b.order.Front() {
		if now.Before(front.Value.(boundedEntry[V]).end) {
			return
		}
		b.remove(front)
	}
}

func (b *bounded[V]) remove(element *list.Element) {
	delete(b.entries, element.Value.(boundedEntry[V]).key)
	b.order.Remove(element)
}
