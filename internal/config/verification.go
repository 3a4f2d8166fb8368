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

// verificationFile holds how far the verification in the background is.
const verificationFile = "verification.json"

// ReadVerification reads what [Settings.WriteVerification] wrote last. Nothing is read where there is no such file, and where
// it is not whole: what is forgotten is verified again.
func (s Settings) ReadVerification(into any) error {
	data, err := os.ReadFile(filepath.Join(s.HomeFolder(), verificationFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read how far the verification is: %w", err)
	}
	if !json.Valid(data) {
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("cannot read how far the verification is: %s: %w", verificationFile, err)
	}
	return nil
}

// WriteVerification keeps how far a verification is in the home, which must be there.
func (s Settings) WriteVerification(state any) error {
	data, err := json.Marshal(state)
	if err == nil {
		err = wholefile.Write(filepath.Join(s.HomeFolder(), verificationFile), func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("cannot keep how far the verification is: %w", err)
	}
	return nil
}
