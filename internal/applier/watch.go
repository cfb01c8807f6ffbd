package applier

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/fsnotify/fsnotify"

	consultemplate "github.com/weirhq/weir/consul-template"
)

// watch sends on changed when a staged file has been replaced, until ctx ends. Nothing has to be called for it, so
// nothing can fail on consul-template's side.
func watch(ctx context.Context, dir string, changed chan<- struct{}) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch the staged files: %w", err)
	}
	defer watcher.Close()
	if err := watcher.Add(dir); err != nil {
		return fmt.Errorf("watch the staged files in %s: %w", dir, err)
	}
	for {
		notify(changed) // first for what was there, or came before the watch
		if err := await(ctx, watcher); err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// await returns when a staged file has changed.
func await(ctx context.Context, watcher *fsnotify.Watcher) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, ok := <-watcher.Events:
			name := filepath.Base(event.Name)
			if !ok || name == consultemplate.Weights || name == consultemplate.Endpoints {
				return nil
			}
		case err := <-watcher.Errors:
			if errors.Is(err, fsnotify.ErrEventOverflow) {
				return nil // something has changed
			}
			return fmt.Errorf("watch the staged files: %w", err)
		}
	}
}

func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
