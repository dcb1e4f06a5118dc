package policy

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/bundle"
)

// BundleKey says whose signature a bundle must carry.
type BundleKey struct {
	PEM       string // public key or certificate; "": the bundle need not be signed, and a signature is not looked at
	Algorithm string // of the signature, as in JWS: RS256, ES256, EdDSA, …; "": RS256
	Scope     string // that the signature must be for; "": any
}

// What a bundle may hold: rules are small, and somebody may have packed zeros.
const (
	mostPacked   = 32 << 20 // bytes of the .tar.gz
	mostUnpacked = 64 << 20 // bytes of all files
	mostFile     = 8 << 20  // bytes of one
	mostFiles    = 5000
)

const signaturesFile = ".signatures.json"

// Bundle reads policies from a .tar.gz as `opa build --bundle` writes it, with the signatures of `opa sign` verified over
// every file. name begins the file names in messages. A wrong or missing signature, a file that was added, changed or taken
// away, a path outside of the bundle and a bundle beyond all measure are refused, with the file that is at fault.
func Bundle(name, file string, key BundleKey) (Source, error) {
	s, err := readBundle(name, file, key)
	if err != nil {
		return Source{}, fmt.Errorf("policy bundle %s: %w", name, err)
	}
	return s, nil
}

func readBundle(name, file string, key BundleKey) (Source, error) {
	packed, err := os.ReadFile(file)
	if err != nil {
		return Source{}, err
	}
	if len(packed) > mostPacked {
		return Source{}, fmt.Errorf("it has more than %d MiB: put nothing into it but rules", mostPacked>>20)
	}
	files, err := unpack(packed)
	if err != nil {
		return Source{}, err
	}
	if key.PEM != "" {
		if err := verify(files, key); err != nil {
			return Source{}, err
		}
	}
	fsys, err := asFS(files)
	if err != nil {
		return Source{}, err
	}
	return Source{Name: name, FS: fsys}, nil
}

// unpacked is one file of a bundle.
type unpacked struct {
	name string // slash-separated, within the bundle
	data []byte
}

func unpack(packed []byte) ([]unpacked, error) {
	gz, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("it is no .tar.gz (%w): write it with `opa build --bundle`", err)
	}
	// Zeros between the files count too.
	limited := &io.LimitedReader{R: gz, N: mostUnpacked + 1}
	in := tar.NewReader(limited)
	var out []unpacked
	seen := map[string]bool{}
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if limited.N <= 0 {
			return nil, fmt.Errorf("unpacked it has more than %d MiB: it is no bundle of rules", mostUnpacked>>20)
		}
		if err != nil {
			return nil, fmt.Errorf("it is no whole .tar.gz: %w", err)
		}
		if h.Typeflag == tar.TypeDir || h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		clean := path.Clean(strings.TrimPrefix(h.Name, "/"))
		switch {
		case slices.Contains(strings.Split(strings.ReplaceAll(h.Name, `\`, "/"), "/"), "..") || strings.HasPrefix(h.Name, "//") || clean == ".":
			return nil, fmt.Errorf("file %q lies outside of the bundle", h.Name)
		case h.Typeflag != tar.TypeReg:
			return nil, fmt.Errorf("file %q is a link or a device: a bundle holds plain files", h.Name)
		case h.Size > mostFile:
			return nil, fmt.Errorf("file %q has more than %d MiB", h.Name, mostFile>>20)
		case len(out) >= mostFiles:
			return nil, fmt.Errorf("it has more than %d files", mostFiles)
		case seen[clean]:
			return nil, fmt.Errorf("file %q is there twice", clean)
		}
		seen[clean] = true
		data, err := io.ReadAll(in)
		if err != nil {
			if limited.N <= 0 {
				return nil, fmt.Errorf("unpacked it has more than %d MiB: it is no bundle of rules", mostUnpacked>>20)
			}
			return nil, fmt.Errorf("file %q: %w", h.Name, err)
		}
		out = append(out, unpacked{clean, data})
	}
}

// verify holds every file to the bundle's signature.
func verify(files []unpacked, key BundleKey) error {
	i := slices.IndexFunc(files, func(f unpacked) bool { return f.name == signaturesFile })
	if i < 0 {
		return errors.New("it is not signed: sign it with `opa sign --bundle`, or write `unsigned: true` in place of key")
	}
	var signatures bundle.SignaturesConfig
	if err := json.Unmarshal(files[i].data, &signatures); err != nil {
		return fmt.Errorf("%s: %w", signaturesFile, err)
	}
	signatures.Plugin = "" // the bundle does not choose how it is verified
	const id = "lapse.yaml"
	config := bundle.NewVerificationConfig(map[string]*bundle.KeyConfig{id: {Key: key.PEM, Algorithm: key.Algorithm, Scope: key.Scope}}, id, key.Scope, nil)
	if key.Algorithm == "" {
		config.PublicKeys[id].Algorithm = "RS256"
	}
	signed, err := bundle.VerifyBundleSignature(signatures, config)
	if err != nil {
		return fmt.Errorf("its signature is not of the key: %w", err)
	}
	for _, f := range files {
		if f.name == signaturesFile {
			continue
		}
		if err := bundle.VerifyBundleFile(f.name, *bytes.NewBuffer(f.data), signed); err != nil {
			return fmt.Errorf("file %q is not as it was signed: %w", f.name, err)
		}
		delete(signed, f.name)
	}
	if len(signed) > 0 {
		return fmt.Errorf("file %q was signed and is not there", keys(signed)[0])
	}
	return nil
}

// asFS is the files as a file system: a zip archive is one.
func asFS(files []unpacked) (*zip.Reader, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		if path.Base(f.name)[0] == '.' {
			continue
		}
		to, err := w.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Store})
		if err != nil {
			return nil, err
		}
		if _, err := to.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
}
