package packaging

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// entry is a file of an archive.
type entry struct {
	name string
	mode fs.FileMode
	data []byte
}

// writeArchive writes all files of a folder, below a folder of the archive's name. The same files give the same bytes: names in order, one
// time, no owner, and one of two modes.
func writeArchive(file, top, folder string, at time.Time) error {
	entries, err := entriesOf(folder, top)
	if err != nil {
		return fmt.Errorf("cannot read what belongs into %s: %w", file, err)
	}
	var out bytes.Buffer
	if strings.HasSuffix(file, ".zip") {
		err = writeZip(&out, entries, at)
	} else {
		err = writeTar(&out, entries, at)
	}
	if err == nil {
		err = os.WriteFile(file, out.Bytes(), readable)
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", file, err)
	}
	return nil
}

// entriesOf lists the files of a folder in the order of their names, without what makes packages.
func entriesOf(folder, top string) ([]entry, error) {
	var entries []entry
	err := filepath.WalkDir(folder, func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(folder, at)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if strings.HasPrefix(name, "packaging/") && !strings.HasPrefix(name, "packaging/systemd/") && name != "packaging/Containerfile" {
			return nil
		}
		data, err := os.ReadFile(at)
		mode := fs.FileMode(readable)
		if !strings.Contains(name, "/") && strings.HasPrefix(name, "gxpledger") {
			mode = executable
		}
		entries = append(entries, entry{path.Join(top, name), mode, data})
		return err
	})
	return entries, err
}

func writeTar(to io.Writer, entries []entry, at time.Time) error {
	compressed, err := gzip.NewWriterLevel(to, gzip.BestCompression)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(compressed)
	for _, e := range entries {
		if err := archive.WriteHeader(&tar.Header{Name: e.name, Mode: int64(e.mode), Size: int64(len(e.data)), ModTime: at.UTC(), Format: tar.FormatPAX}); err != nil {
			return err
		}
		if _, err := archive.Write(e.data); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), compressed.Close())
}

func writeZip(to io.Writer, entries []entry, at time.Time) error {
	archive := zip.NewWriter(to)
	for _, e := range entries {
		header := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: at.UTC()}
		header.SetMode(e.mode)
		file, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := file.Write(e.data); err != nil {
			return err
		}
	}
	return archive.Close()
}

// setTimestamp gives a bill of materials the time of the commit in place of that of its making.
func setTimestamp(file string, at time.Time) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("cannot read the bill of materials: %w", err)
	}
	var document map[string]json.RawMessage
	var metadata map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(data, &document), json.Unmarshal(document["metadata"], &metadata)); err != nil {
		return fmt.Errorf("cannot read the bill of materials: %w", err)
	}
	metadata["timestamp"] = json.RawMessage(fmt.Sprintf("%q", at.UTC().Format(time.RFC3339)))
	if document["metadata"], err = json.Marshal(metadata); err == nil {
		data, err = json.MarshalIndent(document, "", "  ")
	}
	if err == nil {
		err = os.WriteFile(file, append(data, '\n'), readable)
	}
	if err != nil {
		return fmt.Errorf("cannot write the bill of materials: %w", err)
	}
	return nil
}

// writeSums writes SHA256SUMS, which sha256sum --check reads.
func writeSums(folder string) error {
	files, err := os.ReadDir(folder)
	var sums strings.Builder
	for _, file := range files {
		data, readErr := os.ReadFile(filepath.Join(folder, file.Name()))
		err = errors.Join(err, readErr)
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(data), file.Name())
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "SHA256SUMS"), []byte(sums.String()), readable)
	}
	if err != nil {
		return fmt.Errorf("cannot write the checksums: %w", err)
	}
	return nil
}
