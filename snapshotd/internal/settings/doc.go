// Package settings reads snapshotd's flags and environment.
//
// A flag beats its variable; a variable that is set to nothing counts as unset.
// Settings that do not go together are refused rather than ranked, unless one of
// them is a flag and the other a variable.
package settings
