package packaging

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Release is what to make.
type Release struct {
	Out       string // folder of the release; it is replaced
	NFPM      string // package@version of nfpm
	CycloneDX string // package@version of cyclonedx-gomod
}

// platform is one that binaries are promised for.
type platform struct{ os, arch string }

func platforms() []platform {
	return []platform{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "arm64"}, {"darwin", "amd64"}, {"windows", "amd64"}}
}

// build is what the binaries say of themselves.
type build struct {
	Version  string    `json:"version"`
	Commit   string    `json:"commit"`
	Time     time.Time `json:"time"`
	Modified bool      `json:"modified"`
}

const (
	readable   = 0o644
	executable = 0o755
)

// Make makes the release. It refuses a work tree with changes, since what it holds has no name.
func (r Release) Make(ctx context.Context) error {
	work, err := os.MkdirTemp("", "gxpledger-release-")
	if err != nil {
		return fmt.Errorf("cannot make a folder to work in: %w", err)
	}
	defer os.RemoveAll(work) //nolint:errcheck // the folder is temporary
	if r.Out, err = filepath.Abs(r.Out); err != nil {
		return fmt.Errorf("cannot find the folder of the release: %w", err)
	}
	if err := errors.Join(os.RemoveAll(r.Out), os.MkdirAll(r.Out, executable)); err != nil {
		return fmt.Errorf("cannot empty the folder of the release: %w", err)
	}
	this := platform{runtime.GOOS, runtime.GOARCH}
	own := filepath.Join(work, "own", this.binary())
	if err := compile(ctx, this, own); err != nil {
		return err
	}
	made, err := describe(ctx, own)
	if err != nil {
		return err
	}
	shared := filepath.Join(work, "shared")
	if err := writeShared(ctx, own, shared); err != nil {
		return err
	}
	for _, p := range platforms() {
		if err := r.makePlatform(ctx, p, made, filepath.Join(work, p.os+"_"+p.arch), shared); err != nil {
			return fmt.Errorf("cannot make the release for %s/%s: %w", p.os, p.arch, err)
		}
	}
	return writeSums(r.Out)
}

// makePlatform makes the files of one platform. The folder stage gets what they hold.
func (r Release) makePlatform(ctx context.Context, p platform, made build, stage, shared string) error {
	if err := os.CopyFS(stage, os.DirFS(shared)); err != nil {
		return err
	}
	binary := filepath.Join(stage, p.binary())
	if err := compile(ctx, p, binary); err != nil {
		return err
	}
	name := fmt.Sprintf("gxpledger_%s_%s_%s", strings.TrimPrefix(made.Version, "v"), p.os, p.arch)
	archive := filepath.Join(r.Out, name+p.extension())
	if err := writeArchive(archive, name, stage, made.Time); err != nil {
		return err
	}
	// Without a serial number and a time, which differ from run to run.
	if _, err := run(ctx, command{args: []string{
		"go", "run", r.CycloneDX, "bin", "-json", "-noserial", "-version", made.Version, "-output", filepath.Join(r.Out, name+".cdx.json"), binary,
	}}); err != nil {
		return err
	}
	if err := setTimestamp(filepath.Join(r.Out, name+".cdx.json"), made.Time); err != nil {
		return err
	}
	if p.os != "linux" {
		return nil
	}
	for _, format := range []string{"deb", "rpm"} {
		if _, err := run(ctx, command{
			dir: stage, env: []string{"VERSION=" + made.Version, "ARCH=" + p.arch, "SOURCE_DATE_EPOCH=" + strconv.FormatInt(made.Time.Unix(), 10)},
			args: []string{"go", "run", r.NFPM, "package", "-f", filepath.Join("packaging", "nfpm.yaml"), "-p", format, "-t", filepath.Join(r.Out, name+"."+format)},
		}); err != nil {
			return err
		}
	}
	return nil
}

func (p platform) binary() string {
	if p.os == "windows" {
		return "gxpledger.exe"
	}
	return "gxpledger"
}

func (p platform) extension() string {
	if p.os == "windows" {
		return ".zip"
	}
	return ".tar.gz"
}

// compile builds the binary of a platform. Neither the folder of the checkout nor the machine is in it.
func compile(ctx context.Context, p platform, to string) error {
	_, err := run(ctx, command{
		env:  []string{"CGO_ENABLED=0", "GOOS=" + p.os, "GOARCH=" + p.arch},
		args: []string{"go", "build", "-buildvcs=true", "-trimpath", "-ldflags=-s -w", "-o", to, "./cmd/gxpledger"},
	})
	return err
}

// describe asks a binary which commit it was built from.
func describe(ctx context.Context, binary string) (build, error) {
	var made build
	out, err := run(ctx, command{args: []string{binary, "version", "--json"}})
	if err == nil {
		err = json.Unmarshal(out, &made)
	}
	switch {
	case err != nil:
		return made, fmt.Errorf("cannot find out what was built: %w", err)
	case made.Commit == "" || made.Time.IsZero():
		return made, errors.New("cannot make a release: the binary does not know its commit; build in a git checkout")
	case made.Modified:
		return made, errors.New("cannot make a release: the work tree has changes; commit them or build in a fresh clone")
	}
	return made, nil
}

// writeShared writes what is the same for every platform: documents, completions, the manual, and the files of packages.
func writeShared(ctx context.Context, binary, to string) error {
	if err := os.CopyFS(filepath.Join(to, "packaging"), os.DirFS("packaging")); err != nil {
		return fmt.Errorf("cannot copy the files of packages: %w", err)
	}
	for _, name := range []string{"README.md", "LICENSE", "CHANGELOG.md"} {
		data, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), data, readable)
		}
		if err != nil {
			return fmt.Errorf("cannot copy %s: %w", name, err)
		}
	}
	completions := filepath.Join(to, "completions")
	if err := os.MkdirAll(completions, executable); err != nil {
		return fmt.Errorf("cannot write completions: %w", err)
	}
	for shell, name := range map[string]string{"bash": "gxpledger", "zsh": "_gxpledger", "fish": "gxpledger.fish", "powershell": "gxpledger.ps1"} {
		out, err := run(ctx, command{args: []string{binary, "completion", shell}})
		if err == nil {
			err = os.WriteFile(filepath.Join(completions, name), out, readable)
		}
		if err != nil {
			return fmt.Errorf("cannot write the completions of %s: %w", shell, err)
		}
	}
	if _, err := run(ctx, command{args: []string{binary, "manual", filepath.Join(to, "man")}}); err != nil {
		return err
	}
	return compressPages(filepath.Join(to, "man"))
}

// compressPages compresses the pages of the manual, as packages hold them.
func compressPages(folder string) error {
	pages, err := filepath.Glob(filepath.Join(folder, "*.1"))
	if err != nil || len(pages) == 0 {
		return fmt.Errorf("cannot compress the manual: no pages (%w)", err)
	}
	for _, page := range pages {
		data, err := os.ReadFile(page)
		if err != nil {
			return fmt.Errorf("cannot compress the manual: %w", err)
		}
		var out bytes.Buffer
		zip, err := gzip.NewWriterLevel(&out, gzip.BestCompression) // without name and time
		if err == nil {
			_, err = zip.Write(data)
		}
		if err := errors.Join(err, zip.Close(), os.WriteFile(page+".gz", out.Bytes(), readable), os.Remove(page)); err != nil {
			return fmt.Errorf("cannot compress the manual: %w", err)
		}
	}
	return nil
}

// command is a program to run.
type command struct {
	dir  string
	env  []string // beside that of this process
	args []string
}

// run returns what a program writes, and what it complains of when it fails.
func run(ctx context.Context, c command) ([]byte, error) {
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.dir, &out, &complaints
	cmd.Env = append(os.Environ(), c.env...)
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("cannot run %s: %w\n%s", strings.Join(c.args, " "), err, complaints.String())
	}
	return out.Bytes(), nil
}
