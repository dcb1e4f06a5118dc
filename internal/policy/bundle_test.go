package policy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/bundle"
)

// signer makes bundles as OPA does.
type signer struct{ private, public string }

func newSigner(t *testing.T) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return signer{string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private})), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))}
}

func (s signer) key() BundleKey { return BundleKey{PEM: s.public, Algorithm: "ES256"} }

// sign returns the signatures of files.
func (s signer) sign(t *testing.T, files map[string]string) string {
	t.Helper()
	hasher, err := bundle.NewSignatureHasher(bundle.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	var list []bundle.FileInfo
	for name, text := range files {
		sum, err := hasher.HashFile([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, bundle.NewFile(name, hex.EncodeToString(sum), "SHA-256"))
	}
	token, err := bundle.GenerateSignedToken(list, bundle.NewSigningConfig(s.private, "ES256", ""), "")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"signatures": [%q]}`, token)
}

// packed writes a .tar.gz of files and of what add puts in besides.
func packed(t *testing.T, files map[string]string, add func(*tar.Writer)) string {
	t.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	w := tar.NewWriter(gz)
	for _, name := range keys(files) {
		if err := w.WriteHeader(&tar.Header{Name: "/" + name, Mode: 0o600, Size: int64(len(files[name]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[name])); err != nil {
			t.Fatal(err)
		}
	}
	if add != nil {
		add(w)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "acme.tar.gz")
	if err := os.WriteFile(to, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestBundles(t *testing.T) {
	ours, others := newSigner(t), newSigner(t)
	rules := map[string]string{"acme/locked/policy.rego": good, "lib/lib.rego": goodLibrary}
	with := func(change map[string]string) map[string]string {
		out := map[string]string{}
		for k, v := range rules {
			out[k] = v
		}
		for k, v := range change {
			if out[k] = v; v == "" {
				delete(out, k)
			}
		}
		return out
	}
	signed := func(by signer) map[string]string { return with(map[string]string{signaturesFile: by.sign(t, rules)}) }
	entry := func(h tar.Header) func(*tar.Writer) {
		return func(w *tar.Writer) {
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
		}
	}
	bomb := func(size, each int64) func(*tar.Writer) {
		return func(w *tar.Writer) {
			zeros := make([]byte, each)
			for n := int64(0); n < size; n += each {
				if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("zeros/%d.rego", n), Mode: 0o600, Size: each}); err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write(zeros); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for name, c := range map[string]struct {
		file string
		key  BundleKey
		want string // "": it loads
	}{
		"signed":                {packed(t, signed(ours), nil), ours.key(), ""},
		"unsigned, and said so": {packed(t, rules, nil), BundleKey{}, ""},
		"unsigned":              {packed(t, rules, nil), ours.key(), "it is not signed: sign it with `opa sign --bundle`"},
		"by another":            {packed(t, signed(others), nil), ours.key(), "its signature is not of the key"},
		"a changed rule":        {packed(t, func() map[string]string { f := signed(ours); f["lib/lib.rego"] += "\n"; return f }(), nil), ours.key(), `file "lib/lib.rego" is not as it was signed`},
		"a rule added":          {packed(t, func() map[string]string { f := signed(ours); f["acme/more.rego"] = "package x"; return f }(), nil), ours.key(), `file "acme/more.rego" is not as it was signed`},
		"a rule taken away":     {packed(t, func() map[string]string { f := signed(ours); delete(f, "lib/lib.rego"); return f }(), nil), ours.key(), `file "lib/lib.rego" was signed and is not there`},
		"its own verifier":      {packed(t, with(map[string]string{signaturesFile: `{"signatures": ["x.y.z"], "plugin": "mine"}`}), nil), ours.key(), "its signature is not of the key"},
		"outside":               {packed(t, rules, entry(tar.Header{Name: "../../etc/rules.rego", Mode: 0o600})), BundleKey{}, `file "../../etc/rules.rego" lies outside of the bundle`},
		"outside, from within":  {packed(t, rules, entry(tar.Header{Name: "a/../../b.rego", Mode: 0o600})), BundleKey{}, `file "a/../../b.rego" lies outside of the bundle`},
		"a link":                {packed(t, rules, entry(tar.Header{Name: "a.rego", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"})), BundleKey{}, `file "a.rego" is a link or a device`},
		"one file twice":        {packed(t, rules, entry(tar.Header{Name: "lib/lib.rego", Mode: 0o600})), BundleKey{}, `file "lib/lib.rego" is there twice`},
		"a bomb in one file":    {packed(t, nil, bomb(mostFile+1, mostFile+1)), BundleKey{}, "has more than 8 MiB"},
		"a bomb in many":        {packed(t, nil, bomb(mostUnpacked+1, mostFile)), BundleKey{}, "unpacked it has more than 64 MiB"},
		"too many files":        {packed(t, nil, bomb(mostFiles+1, 1)), BundleKey{}, "it has more than 5000 files"},
		"a broken rule":         {packed(t, with(map[string]string{"acme/locked/policy.rego": strings.Replace(good, "account.locked", "account.lokced", 2)}), nil), BundleKey{}, "acme.tar.gz/acme/locked/policy.rego:14: account has no field lokced: did you mean locked?"},
		"no archive":            {func() string { f := filepath.Join(t.TempDir(), "x"); _ = os.WriteFile(f, []byte("x"), 0o600); return f }(), BundleKey{}, "it is no .tar.gz"},
		"not there":             {filepath.Join(t.TempDir(), "x"), BundleKey{}, "no such file"},
		"a key that is none":    {packed(t, signed(ours), nil), BundleKey{PEM: "x", Algorithm: "ES256"}, "its signature is not of the key"},
	} {
		t.Run(name, func(t *testing.T) {
			source, err := Bundle("acme.tar.gz", c.file, c.key)
			if err == nil {
				var pack *Pack
				if pack, err = Load(Options{}, source); err == nil && len(pack.Policies()) != 1 {
					t.Errorf("%d policies", len(pack.Policies()))
				}
			}
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}
