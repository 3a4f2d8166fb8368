package kurrent_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbserver"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
	"github.com/gxpledger/gxpledger/eventstore/kurrent"
	"github.com/gxpledger/gxpledger/eventstore/memory"
)

// certificate makes one for 127.0.0.1, signed by itself and good until a time, and the path of a file with it.
func certificate(t *testing.T, until time.Time) (made tls.Certificate, file string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, file
}

// A connection that the settings make impossible is told at once, with the setting to change, and not tried again.
func TestAFaultOfTLSIsFinalAndNamesItsSetting(t *testing.T) {
	t.Parallel()
	secure := func(made tls.Certificate) *esdbtest.Server {
		return esdbtest.Start(t, memory.New(time.Now), func(o *esdbserver.Options) {
			o.TLS = &tls.Config{Certificates: []tls.Certificate{made}, MinVersion: tls.VersionTLS12}
		})
	}
	made, ca := certificate(t, time.Now().Add(time.Hour))
	expired, oldCA := certificate(t, time.Now().Add(-time.Hour))
	good, old, plain := secure(made), secure(expired), newMemory(t)
	_, port, _ := net.SplitHostPort(good.Address())
	for name, test := range map[string]struct{ url, want string }{
		"an unknown authority":         {good.URL(), "tlsCaFile"},
		"an unknown authority of many": {"esdb://" + good.Address() + ",127.0.0.1:1", "tlsCaFile"},
		"another name":                 {"esdb://localhost:" + port + "?tlsCaFile=" + ca, "another name"},
		"an old certificate":           {old.URL() + "?tlsCaFile=" + oldCA, "expired"},
		"TLS against clear text":       {"esdb://" + plain.Address(), "write tls=false"},
		"clear text against TLS":       {good.URL() + "?tls=false", "remove tls=false"},
	} {
		_, err := kurrent.Open(within(t), test.url, unhurried())
		if !errors.Is(err, eventstore.ErrInvalid) || errors.Is(err, eventstore.ErrTransient) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error is %v, want ErrInvalid and %q", name, err, test.want)
		}
	}
	mustAppend(t, open(t, good.URL()+"?tlsCaFile="+ca, options()), batch("s", 0, 1))
	mustAppend(t, open(t, old.URL()+"?tlsVerifyCert=false", options()), batch("s", 0, 1))
}

// A server that asks for a certificate of the user's gets the one that the connection string names, and refuses who has none or another's.
func TestAUserIsKnownByTheirCertificate(t *testing.T) {
	t.Parallel()
	made, ca := certificate(t, time.Now().Add(time.Hour))
	user, userCA := certificate(t, time.Now().Add(time.Hour))
	stranger, strangerCA := certificate(t, time.Now().Add(time.Hour))
	known := x509.NewCertPool()
	own, err := x509.ParseCertificate(user.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	known.AddCert(own)
	s := esdbtest.Start(t, memory.New(time.Now), func(o *esdbserver.Options) {
		o.TLS = &tls.Config{Certificates: []tls.Certificate{made}, MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: known}
	})
	url := s.URL() + "?tlsCaFile=" + ca
	of := func(c tls.Certificate, file string) string {
		return url + "&userCertFile=" + file + "&userKeyFile=" + keyFile(t, c)
	}
	mustAppend(t, open(t, of(user, userCA), options()), batch("s", 0, 1))
	for name, test := range map[string]struct{ url, want string }{
		"none":              {url, "userCertFile"},
		"another":           {of(stranger, strangerCA), "userCertFile"},
		"no key":            {url + "&userCertFile=" + userCA, "userKeyFile"},
		"the key of others": {url + "&userCertFile=" + userCA + "&userKeyFile=" + keyFile(t, stranger), "userKeyFile"},
	} {
		o := options()
		o.Wait = 500 * time.Millisecond
		_, err := kurrent.Open(within(t), test.url, o)
		if !errors.Is(err, eventstore.ErrInvalid) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error is %v, want ErrInvalid and %q", name, err, test.want)
		}
	}
}

// keyFile writes the private key of a certificate.
func keyFile(t *testing.T, c tls.Certificate) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
