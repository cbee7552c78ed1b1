package store

import "context"

// Single is a [Provider] of one store for whoever asks.
type Single struct{ Store Store }

// Acquire implements [Provider]. Its error is always nil.
func (s Single) Acquire(context.Context, Owner) (Store, func(), error) {
	return s.Store, func() {}, nil
}

// AcquireUser implements [Provider]. The one user's key is "".
func (s Single) AcquireUser(_ context.Context, key string) (Store, func(), error) {
	if key != "" {
		return nil, nil, ErrNoUser
	}
	return s.Store, func() {}, nil
}

// Users implements [Provider]: the one user is listed unless after is another.
func (s Single) Users(ctx context.Context, after string, limit int) ([]User, error) {
	if err := CheckLimit(limit); err != nil || after != "" {
		return nil, err
	}
	usage, err := s.Store.Usage(ctx)
	if err != nil {
		return nil, err
	}
	return []User{{Snapshots: usage.Snapshots, Bytes: usage.Bytes, LastWrite: usage.LastWrite}}, nil
}

// Close implements [Provider].
func (s Single) Close() error { return s.Store.Close() }

var (
	_ Provider = Single{}
	_ Provider = (*Pool)(nil)
	_ Source   = Folder{}
	_ Source   = File{}
	_ Store    = (*SQLite)(nil)
)
