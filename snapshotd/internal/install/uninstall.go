package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/snapgate/snapgate/snapshotd/internal/settings"
)

// Uninstall plans to take the latest entry out of a client's configuration: the one of
// this name, or of any name if it is "", where fallback is looked for if nothing is
// remembered. The program is the path of snapshotd. If nobody has changed the file since, it
// gets back every byte that it had.
func Uninstall(c Client, system settings.System, records *Records, program, name, fallback string) (Plan, error) {
	plan, err := planUninstall(c, system, records, program, name, fallback)
	if err == nil && plan.Status == Removed {
		err = plan.verify(plan.used != nil && plan.used.Replaced != "")
	}
	if err != nil {
		return Plan{}, err
	}
	return plan, nil
}

func planUninstall(c Client, system settings.System, records *Records, program, name, fallback string) (Plan, error) {
	conf, err := c.read(system)
	if err != nil {
		return Plan{}, err
	}
	known := records.of(conf.file, name)
	switch {
	case known != nil:
		name = known.Name
	case name == "":
		name = fallback
	}
	plan := Plan{
		Client: c, File: conf.file, Name: name, Status: Absent, used: known,
		Before: conf.data, After: conf.data, Exists: conf.exists, Remains: conf.exists,
	}
	if known != nil && conf.exists && sum(conf.data) == known.After {
		if done, err := plan.restore(*known); done || err != nil {
			return plan, err
		}
	}
	if conf.servers < 0 {
		return plan, nil
	}
	place, err := conf.list().find(name)
	if err != nil || place < 0 {
		return plan, err
	}
	m := conf.list().members[place]
	if !read(m.value).ours(program) {
		return Plan{}, fmt.Errorf("%s: the entry %q does not start snapshotd any more: it is left alone", conf.file, name)
	}
	plan.Status = Removed
	if known != nil && known.Replaced != "" {
		plan.After = apply(conf.data, splice{m.value.start, m.value.end, known.Replaced})
		plan.Note = fmt.Sprintf("the entry %q is again what it was before", name)
		return plan, nil
	}
	if known != nil && known.Lone && len(conf.list().members) == 1 {
		plan.After = remove(conf.data, conf.root, conf.root, conf.servers)
		return plan, nil
	}
	plan.After = remove(conf.data, conf.root, conf.list(), place)
	return plan, nil
}

// restore plans to give the file back what it had, if that is still to be had.
func (p *Plan) restore(known record) (bool, error) {
	if known.Created {
		p.Status, p.After, p.Remains = Restored, nil, false
		return true, nil
	}
	if known.Backup == "" {
		return false, nil
	}
	data, err := os.ReadFile(known.Backup)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case sum(data) != known.Before:
		return false, nil
	}
	p.Status, p.After = Restored, data
	return true, nil
}

// undo carries out what Uninstall planned. A backup whose content the file has again
// goes; before any other change a new one is made.
func (p Plan) undo(records *Records) (backup string, err error) {
	if p.Status == Removed {
		if backup, err = p.backUp(); err != nil {
			return "", err
		}
	}
	if p.Status != Absent {
		if err := p.write(); err != nil {
			if backup != "" {
				err = errors.Join(err, os.Remove(backup))
			}
			return "", err
		}
	}
	if p.used == nil {
		return backup, nil
	}
	used := *p.used
	if p.Status == Restored && used.Backup != "" {
		if err := os.Remove(used.Backup); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return backup, records.forget(used)
}
