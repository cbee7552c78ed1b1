package install

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// recordName is the file that remembers what was installed, in snapshotd's own folder.
const recordName = "installed.json"

// record is one installed entry, and what there was before.
type record struct {
	File string `json:"file"`
	Name string `json:"name"`
	// Replaced is the entry in whose place it stands, as it was written.
	Replaced string `json:"replaced,omitempty"`
	// Created and Lone say that the file, or its object of servers, was made for it.
	Created bool `json:"created,omitempty"`
	Lone    bool `json:"lone,omitempty"`
	// Backup is the copy of the file as it was before; "" if it may not be put back whole.
	Backup string `json:"backup,omitempty"`
	// Before and After are SHA-256 of the file.
	Before string `json:"before"`
	After  string `json:"after"`
}

// Records are what was installed on this machine.
type Records struct {
	path string
	all  []record
}

// ReadRecords reads them from snapshotd's folder, where there may be none.
func ReadRecords(folder string) (*Records, error) {
	r := &Records{path: filepath.Join(folder, recordName)}
	data, err := os.ReadFile(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &r.all); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w; move it away, and uninstall takes out the entries alone", r.path, err)
	}
	return r, nil
}

// of returns the latest record of a file, of an entry of this name if it is not "".
func (r *Records) of(file, name string) *record {
	for i := len(r.all) - 1; i >= 0; i-- {
		if r.all[i].File == file && (name == "" || r.all[i].Name == name) {
			return &r.all[i]
		}
	}
	return nil
}

// add remembers a record, in the place of one of the same entry.
func (r *Records) add(one record) error {
	return r.change(func() { r.all = append(r.without(one.File, one.Name), one) })
}

func (r *Records) forget(one record) error {
	return r.change(func() { r.all = r.without(one.File, one.Name) })
}

// putBack undoes add, before which there was the old record, or none.
func (r *Records) putBack(one record, old *record) error {
	if old == nil {
		return r.forget(one)
	}
	return r.add(*old)
}

// change changes the records as they are now: another snapshotd may have written some for
// other clients since.
func (r *Records) change(edit func()) error {
	now, err := ReadRecords(filepath.Dir(r.path))
	if err != nil {
		return err
	}
	r.all = now.all
	edit()
	return r.write()
}

func (r *Records) without(file, name string) []record {
	return slices.DeleteFunc(slices.Clone(r.all), func(o record) bool { return o.File == file && o.Name == name })
}

func (r *Records) write() error {
	if len(r.all) == 0 {
		if err := os.Remove(r.path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	data, err := json.MarshalIndent(r.all, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(r.path), 0o700); err != nil {
		return err
	}
	return writeWhole(r.path, append(data, '\n'), 0o600, func(string) error { return nil })
}

func sum(data []byte) string {
	hash := sha256.Sum256(data)
	return hex.EncodeToString(hash[:])
}
