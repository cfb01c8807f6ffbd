package client

import (
	"archive/tar"
	"archive/zip"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// unpackLimits bound what comes out of an archive, whatever its headers say.
type unpackLimits struct {
	bytes int64
	files int
}

// unpacker writes the entries of an archive into a folder that they can't leave: not by their names, not through links.
type unpacker struct {
	root   *os.Root
	limits unpackLimits // what is left
	links  []string
}

// entry is one thing in an archive.
type entry struct {
	name string
	mode fs.FileMode
	link string // where a link leads
	hard bool
	open func() (io.ReadCloser, error)
}

// unpack unpacks an archive into the folder dest.
func unpack(path, dest, format string, limits unpackLimits) error {
	if err := os.MkdirAll(dest, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dest)
	if err != nil {
		return err
	}
	defer root.Close()
	u := &unpacker{root: root, limits: limits}
	if format == "zip" {
		err = u.unzip(path)
	} else {
		err = u.untar(path, format)
	}
	if err := errors.Join(err, u.checkLinks()); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	return nil
}

func (u *unpacker) untar(path, format string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	var stream io.Reader = file
	switch format {
	case "tar.gz":
		if stream, err = gzip.NewReader(file); err != nil {
			return err
		}
	case "tar.bz2":
		stream = bzip2.NewReader(file)
	}
	archive := tar.NewReader(stream)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		e := entry{
			name: header.Name, mode: header.FileInfo().Mode(), link: header.Linkname, hard: header.Typeflag == tar.TypeLink,
			open: func() (io.ReadCloser, error) { return io.NopCloser(archive), nil },
		}
		if header.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		if err := u.add(e); err != nil {
			return err
		}
	}
}

func (u *unpacker) unzip(path string) error {
	archive, err := zip.OpenReader(path)
	if err != nil {
		return err
	}
	defer archive.Close()
	for _, file := range archive.File {
		e := entry{name: file.Name, mode: file.Mode(), open: file.Open}
		if e.mode&fs.ModeSymlink != 0 {
			if e.link, err = readLink(file); err != nil {
				return err
			}
		}
		if err := u.add(e); err != nil {
			return err
		}
	}
	return nil
}

// readLink reads where a symbolic link in a zip leads, which is its content.
func readLink(file *zip.File) (string, error) {
	content, err := file.Open()
	if err != nil {
		return "", err
	}
	defer content.Close()
	target, err := io.ReadAll(io.LimitReader(content, 4096))
	return string(target), err
}

// add writes one entry.
func (u *unpacker) add(e entry) error {
	name := filepath.Clean(filepath.FromSlash(e.name))
	if !filepath.IsLocal(name) {
		return fmt.Errorf("entry %q leaves the folder", e.name)
	}
	if u.limits.files--; u.limits.files < 0 {
		return errors.New("it holds more files than the limit allows")
	}
	err := u.root.MkdirAll(filepath.Dir(name), 0o755)
	if err == nil && !e.mode.IsDir() {
		err = u.clear(name)
	}
	switch {
	case err != nil:
	case e.hard:
		err = u.root.Link(filepath.Clean(filepath.FromSlash(e.link)), name)
	case e.mode.IsDir():
		err = u.root.MkdirAll(name, 0o755)
	case e.mode&fs.ModeSymlink != 0:
		u.links = append(u.links, name)
		err = u.root.Symlink(e.link, name)
	case e.mode.IsRegular():
		err = u.addFile(name, e)
	default:
		err = errors.New("it is no file, folder or link")
	}
	if err != nil {
		return fmt.Errorf("entry %q: %w", e.name, err)
	}
	return nil
}

// clear makes room for an entry: what was unpacked before the task's restart, or a link that must not be written through.
func (u *unpacker) clear(name string) error {
	if err := u.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (u *unpacker) addFile(name string, e entry) error {
	content, err := e.open()
	if err != nil {
		return err
	}
	defer content.Close()
	file, err := u.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, e.mode.Perm()|0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(file, io.LimitReader(content, u.limits.bytes+1))
	if u.limits.bytes -= n; u.limits.bytes < 0 {
		err = errors.New("it holds more bytes than the limit allows")
	}
	return errors.Join(err, file.Close())
}

// checkLinks follows every symbolic link when all are there, and removes them all if one leads out of the folder.
func (u *unpacker) checkLinks() error {
	for _, name := range u.links {
		if _, err := u.root.Stat(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("link %q leaves the folder or leads nowhere: %w", name, err)
			for _, link := range u.links {
				err = errors.Join(err, u.root.Remove(link))
			}
			return err
		}
	}
	return nil
}
