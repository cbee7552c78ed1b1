package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/snapgate/snapgate/snapshotd/internal/policy"
	"github.com/snapgate/snapgate/snapshotd/internal/settings"
	"github.com/snapgate/snapgate/snapshotd/internal/stdio"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
	"github.com/snapgate/snapgate/snapshotd/internal/store/postgres"
	"github.com/snapgate/snapgate/snapshotd/internal/tools"
)

// stopPatience is how long, after a signal, the calls in flight may take before
// the program ends without their answers. It is less than the five seconds that
// the gateway and go-sdk's client wait before they kill.
const stopPatience = 3 * time.Second

// serve answers calls until the input ends or a signal comes.
func serve(s settings.Settings, in io.ReadCloser, out, log io.Writer) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)

	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	subscriptions := new(tools.Subscriptions)
	provider, authorization, err := assemble(s, subscriptions.Changed, logger)
	if err != nil {
		return err
	}
	admitted := make(chan struct{}, 1)
	server := tools.NewServer(tools.Options{
		Stores: provider, Policy: authorization, Version: version(), Logger: logger,
		OneUser: s.File != "", Retention: s.Retention, Subscriptions: subscriptions,
		Admitted: func() {
			select {
			case admitted <- struct{}{}:
			default: // the transport reads no more
			}
		},
	})
	stop := make(chan struct{})
	transport := &stdio.Transport{In: in, Out: out, Stop: stop, Admitted: admitted}
	session, err := server.Connect(context.Background(), transport, nil)
	if err != nil {
		return errors.Join(fmt.Errorf("start: %w", err), provider.Close())
	}
	ended := make(chan error, 1)
	go func() { ended <- session.Wait() }()
	err = wait(ended, signals, stop)
	subscriptions.Close()
	return errors.Join(err, provider.Close())
}

// wait returns when the session has ended, or in time after a signal. What has
// been answered is on disk either way.
func wait(ended <-chan error, signals <-chan os.Signal, stop chan<- struct{}) error {
	select {
	case err := <-ended:
		return sessionError(err)
	case <-signals:
		close(stop)
	}
	select {
	case err := <-ended:
		return sessionError(err)
	case <-signals: // a second one: at once
	case <-time.After(stopPatience):
	}
	return nil
}

func sessionError(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return nil
	}
	return fmt.Errorf("the session broke: %w", err)
}

// assemble makes the storage and the policy of the settings. A single file or a
// database server is opened at once, so that a server that cannot work does not start.
// Whatever changes in the storage is told to changed.
func assemble(s settings.Settings, changed func(store.Change), logger *slog.Logger) (store.Provider, policy.AuthorizationPolicy, error) {
	options := store.Options{Settings: store.Settings{Limits: s.Limits, Retention: s.Retention, Changed: changed}}
	if s.Server != "" {
		return assembleServer(s, options.Settings, logger)
	}
	if s.Auth != settings.TrustedMeta {
		options.Private = s.Default
		file, err := store.Open(context.Background(), s.File, options)
		if err != nil {
			return nil, nil, err
		}
		return store.Single{Store: file}, policy.NoAuth{}, nil
	}
	if s.Base != "" {
		if err := os.MkdirAll(s.Base, 0o700); err != nil {
			return nil, nil, fmt.Errorf("make the folder of the users' databases: %w", err)
		}
		// A file that the operator has put in a user's place is the user's.
		options.Private, options.Adopt = true, true
		users := store.Folder{Base: s.Base, Options: options}
		return store.NewPool(users, s.OpenFiles, store.DefaultIdle), policy.TrustedMeta{}, nil
	}
	return store.NewPool(store.File{Path: s.File, Options: options}, 1, store.DefaultIdle), policy.TrustedMeta{}, nil
}

// assembleServer makes the storage in a database server.
func assembleServer(s settings.Settings, options store.Settings, logger *slog.Logger) (store.Provider, policy.AuthorizationPolicy, error) {
	database, err := postgres.Open(context.Background(), s.Server, postgres.Options{Settings: options, Logger: logger})
	if err != nil {
		return nil, nil, err
	}
	if s.Auth == settings.TrustedMeta {
		return database, policy.TrustedMeta{}, nil
	}
	local, err := database.Local(context.Background())
	if err != nil {
		return nil, nil, errors.Join(err, database.Close())
	}
	return store.Single{Store: local}, policy.NoAuth{}, nil
}
