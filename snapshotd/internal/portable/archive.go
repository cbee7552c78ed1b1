package portable

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"unicode/utf8"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// archiveVersion is that of the format of archives.
const archiveVersion = 1

// mark is a line of an archive that is no snapshot. An archive begins and ends with one
// that has Archive; the snapshots of each user stand between one with User and one with End.
type mark struct {
	Archive *string `json:"archive,omitempty"` // "snapshotd", or "end"
	Version int     `json:"version,omitempty"`
	Users   int64   `json:"users,omitempty"`

	User    *string `json:"user,omitempty"` // the key; "" for a local user
	Issuer  string  `json:"issuer,omitempty"`
	Subject string  `json:"subject,omitempty"`

	End       *string `json:"end,omitempty"` // the key again
	Snapshots int64   `json:"snapshots,omitempty"`
}

func text(s string) *string { return &s }

// ArchiveWriter writes the snapshots of several users to one file, which any store can
// take in again. What is not complete has no end, and [OpenArchive] refuses it.
type ArchiveWriter struct {
	file             *os.File
	out              *bufio.Writer
	users, snapshots int64
}

// NewArchiveWriter begins an archive in an empty file. The file stays the caller's.
func NewArchiveWriter(file *os.File) (*ArchiveWriter, error) {
	w := &ArchiveWriter{file: file, out: bufio.NewWriter(file)}
	return w, w.mark(mark{Archive: text("snapshotd"), Version: archiveVersion})
}

func (w *ArchiveWriter) mark(m mark) error {
	encoder := json.NewEncoder(w.out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(m); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	return nil
}

// User adds a user and returns how many snapshots these were. After an error the archive
// is as it was before, and another user may be added.
func (w *ArchiveWriter) User(owner store.Owner, snapshots iter.Seq2[store.Snapshot, error]) (n int64, err error) {
	start, err := w.flushed()
	if err != nil {
		return 0, err
	}
	if n, err = w.user(owner, snapshots); err != nil {
		w.out.Reset(w.file)
		_, back := w.file.Seek(start, io.SeekStart)
		return 0, errors.Join(err, w.file.Truncate(start), back)
	}
	w.users++
	w.snapshots += n
	return n, nil
}

func (w *ArchiveWriter) user(owner store.Owner, snapshots iter.Seq2[store.Snapshot, error]) (n int64, err error) {
	if err := w.mark(mark{User: &owner.User, Issuer: owner.Issuer, Subject: owner.Subject}); err != nil {
		return 0, err
	}
	for snapshot, err := range snapshots {
		if err != nil {
			return n, err
		}
		if err := restorable(snapshot); err != nil {
			return n, fmt.Errorf("write the archive: %w", err)
		}
		if err := WriteLine(w.out, snapshot); err != nil {
			return n, fmt.Errorf("write the archive: %w", err)
		}
		n++
	}
	if err := w.mark(mark{End: &owner.User, Snapshots: n}); err != nil {
		return n, err
	}
	_, err = w.flushed()
	return n, err
}

// restorable says why a snapshot could not be taken from an archive as it is. It is asked
// when the archive is made, while there is still what it is made of.
func restorable(s store.Snapshot) error {
	for _, text := range []string{s.Name, s.Summary, s.Context, s.NextSteps, s.ContinuationPrompt} {
		if !utf8.ValidString(text) {
			return fmt.Errorf("%w: a text of snapshot %d is not UTF-8, which JSON must be: a copy of the whole file, by backup without --portable, has it as it is", store.ErrInvalid, s.ID)
		}
	}
	if s.ID == 0 { // which is for what has none yet
		return fmt.Errorf("%w: a snapshot has the id 0", store.ErrInvalid)
	}
	_, err := store.Importable(s)
	return err
}

// flushed writes out what is buffered and returns where the file ends.
func (w *ArchiveWriter) flushed() (int64, error) {
	if err := w.out.Flush(); err != nil {
		return 0, fmt.Errorf("write the archive: %w", err)
	}
	return w.file.Seek(0, io.SeekCurrent)
}

// End completes the archive and puts it on disk.
func (w *ArchiveWriter) End() error {
	if err := w.mark(mark{Archive: text("end"), Users: w.users, Snapshots: w.snapshots}); err != nil {
		return err
	}
	if _, err := w.flushed(); err != nil {
		return err
	}
	return w.file.Sync()
}

// Archive is one that was found complete. It is read from its file each time.
type Archive struct {
	file  *os.File
	Users []ArchivedUser
}

// ArchivedUser is a user in an archive.
type ArchivedUser struct {
	store.Owner
	Snapshots int64
	start     int64 // where the first snapshot begins
	line      int   // the number of the line before it
}

// IsArchive says whether a file begins as an archive does. A folder does not.
func IsArchive(path string) (bool, error) {
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || info.IsDir() {
		return false, err
	}
	is, err := beginsAsArchive(file)
	if err != nil { // what cannot be read is not known to be none
		return false, fmt.Errorf("read the beginning of %s: %w", path, err)
	}
	return is, nil
}

// longestStart is within how many bytes the first line of an archive ends.
const longestStart = 1024

func beginsAsArchive(in io.Reader) (bool, error) {
	line, err := bufio.NewReader(io.LimitReader(in, longestStart)).ReadBytes('\n')
	if errors.Is(err, io.EOF) {
		return false, nil // too short, or no text
	}
	m, ok := parseMark(line)
	return err == nil && ok && m.Archive != nil && *m.Archive == "snapshotd", err
}

// parseMark reads a line as a mark, if it begins as we write one: so that a long line of
// a snapshot is not read twice.
func parseMark(line []byte) (m mark, ok bool) {
	if !slices.ContainsFunc([]string{`{"archive":`, `{"user":`, `{"end":`}, func(start string) bool { return bytes.HasPrefix(line, []byte(start)) }) {
		return mark{}, false
	}
	err := json.Unmarshal(line, &m)
	return m, err == nil && (m.Archive != nil || m.User != nil || m.End != nil)
}

// OpenArchive opens an archive and reads it from its beginning to its end: one that is
// cut off, or has a line that no store would take, is refused whole.
func OpenArchive(path string) (*Archive, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	a := &Archive{file: file}
	if err := a.scan(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is no whole archive: %w", path, err), file.Close())
	}
	return a, nil
}

// Close closes the file.
func (a *Archive) Close() error { return a.file.Close() }

func (a *Archive) scan() error {
	lines := NewReader(a.file)
	first, ok, err := lines.nextMark()
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case !ok || first.Archive == nil || *first.Archive != "snapshotd":
		return errors.New("it does not begin as one does")
	case first.Version != archiveVersion:
		return fmt.Errorf("it has version %d, and this snapshotd knows %d; upgrade it", first.Version, archiveVersion)
	}
	for total := int64(0); ; {
		m, ok, err := lines.nextMark()
		switch {
		case errors.Is(err, io.EOF):
			return errors.New("its end is missing")
		case err != nil:
			return err
		case ok && m.User != nil:
			if err := a.unused(*m.User); err != nil {
				return fmt.Errorf("line %d: %w", lines.line, err)
			}
			one := ArchivedUser{Owner: store.Owner{User: *m.User, Issuer: m.Issuer, Subject: m.Subject}, start: lines.offset, line: lines.line}
			if one.Snapshots, err = lines.section(one.User); err != nil {
				return err
			}
			total += one.Snapshots
			a.Users = append(a.Users, one)
		case ok && m.Archive != nil && *m.Archive == "end":
			if m.Users != int64(len(a.Users)) || m.Snapshots != total {
				return fmt.Errorf("its end counts %d users and %d snapshots, and there are %d and %d", m.Users, m.Snapshots, len(a.Users), total)
			}
			return lines.ended()
		default:
			return fmt.Errorf("line %d: it belongs to no user", lines.line)
		}
	}
}

// unused says what is wrong with the key of a user who begins here. It becomes the name of
// a folder, and an archive may come from anywhere: one that would lead elsewhere is refused.
func (a *Archive) unused(key string) error {
	if key != "" && !store.IsUserKey(key) {
		return fmt.Errorf("%q is no user's key: it must be a name without a separator", key)
	}
	if slices.ContainsFunc(a.Users, func(u ArchivedUser) bool { return u.User == key }) {
		return fmt.Errorf("user %q is there twice", key)
	}
	return nil
}

// ended says that there is more behind the end of an archive, if there is: what stands
// there, such as another archive, would be left out.
func (r *Reader) ended() error {
	_, err := r.next()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("line %d: there is more behind its end: each archive must be a file of its own", r.line)
}

// section reads the snapshots of a user and their end.
func (r *Reader) section(key string) (n int64, err error) {
	for highest := int64(0); ; n++ {
		snapshot, end, err := r.nextOrEnd()
		switch {
		case errors.Is(err, io.EOF):
			return n, errors.New("its end is missing")
		case err != nil:
			return n, err
		case end != nil && (end.End == nil || *end.End != key || end.Snapshots != n):
			return n, fmt.Errorf("line %d: it must be the end of user %q with %d snapshots", r.line, key, n)
		case end != nil:
			return n, nil
		case snapshot.ID <= highest:
			return n, fmt.Errorf("line %d: its id is %d, and the one before has %d: they must ascend", r.line, snapshot.ID, highest)
		}
		if _, err := store.Importable(snapshot); err != nil {
			return n, fmt.Errorf("line %d: %w", r.line, err)
		}
		highest = snapshot.ID
	}
}

// Snapshots yields the snapshots of a user, each time that it is ranged over, in the
// order of their ids. Two may not be read at once.
func (a *Archive) Snapshots(u ArchivedUser) iter.Seq2[store.Snapshot, error] {
	return func(yield func(store.Snapshot, error) bool) {
		if _, err := a.file.Seek(u.start, io.SeekStart); err != nil {
			yield(store.Snapshot{}, err)
			return
		}
		lines := NewReader(a.file)
		lines.line = u.line
		for range u.Snapshots {
			snapshot, err := lines.Next()
			if errors.Is(err, io.EOF) {
				err = errors.New("the archive was cut off while it was read")
			}
			if !yield(snapshot, err) || err != nil {
				return
			}
		}
	}
}
