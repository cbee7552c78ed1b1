package pgtest

import (
	"errors"
	"os/exec"
)

type account struct{}

func unprivileged() (account, error) {
	return account{}, errors.New("these tests end PostgreSQL by signals, which Windows does not have")
}

func (account) temporary() string { return "" }

func (account) own(string) error { return nil }

func (account) run(*exec.Cmd) {}
