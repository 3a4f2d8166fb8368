package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gxpledger/gxpledger/internal/wholefile"
)

// Files of the home that processes leave for others to read: how far the verification in the background is, and what a process that
// writes the tables tries again.
const (
	verificationFile = "verification.json"
	retriesFile      = "retries.json"
)

// ReadVerification reads what [Settings.WriteVerification] wrote last. Nothing is read where there is no such file, and where
// it is not whole: what is forgotten is verified again.
func (s Settings) ReadVerification(into any) error {
	if err := s.readNote(verificationFile, into); err != nil {
		return fmt.Errorf("cannot read how far the verification is: %w", err)
	}
	return nil
}

// WriteVerification keeps how far a verification is in the home, which must be there.
func (s Settings) WriteVerification(state any) error {
	if err := s.writeNote(verificationFile, state); err != nil {
		return fmt.Errorf("cannot keep how far the verification is: %w", err)
	}
	return nil
}

// ReadRetries reads what [Settings.WriteRetries] wrote last; nothing where there is no such file, and where it is not whole.
func (s Settings) ReadRetries(into any) error {
	if err := s.readNote(retriesFile, into); err != nil {
		return fmt.Errorf("cannot read what is tried again: %w", err)
	}
	return nil
}

// WriteRetries keeps what a process tries again in the home, which must be there.
func (s Settings) WriteRetries(state any) error {
	if err := s.writeNote(retriesFile, state); err != nil {
		return fmt.Errorf("cannot keep what is tried again: %w", err)
	}
	return nil
}

// RemoveRetries removes what a process kept that tries nothing again any more.
func (s Settings) RemoveRetries() error {
	if err := os.Remove(filepath.Join(s.HomeFolder(), retriesFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove what is tried again: %w", err)
	}
	return nil
}

func (s Settings) readNote(name string, into any) error {
	data, err := os.ReadFile(filepath.Join(s.HomeFolder(), name)) //nolint:gosec // one of those above, in the operator's own home
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !json.Valid(data) {
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (s Settings) writeNote(name string, state any) error {
	data, err := json.Marshal(state)
	if err != nil {
		return err
	}
	return wholefile.Write(filepath.Join(s.HomeFolder(), name), func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
