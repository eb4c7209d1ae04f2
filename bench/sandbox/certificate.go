package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificateLife is generous: with a clock offset clients may be far off.
const certificateLife = 10 * 365 * 24 * time.Hour

// loadCertificate returns the server's certificate and the path of the CA to
// trust. Both are kept in dir, so that a client outlives a restart of the
// server.
func loadCertificate(dir string) (tls.Certificate, string, error) {
	caFile := filepath.Join(dir, "ca.pem")
	pair := filepath.Join(dir, "server.pem") // certificate and key
	if _, err := os.Stat(caFile); err == nil {
		if cert, err := tls.LoadX509KeyPair(pair, pair); err == nil {
			return cert, caFile, nil
		}
	}
	ca, server, err := makeCertificates()
	if err != nil {
		return tls.Certificate{}, "", err
	}
	// The CA last: it stands for a complete pair.
	if err := writeFileAtomic(pair, server); err != nil {
		return tls.Certificate{}, "", err
	}
	if err := writeFileAtomic(caFile, ca); err != nil {
		return tls.Certificate{}, "", err
	}
	cert, err := tls.X509KeyPair(server, server)
	return cert, caFile, err
}

// makeCertificates makes a CA, whose key is thrown away, and a server
// certificate with its key, all as PEM.
func makeCertificates() (ca, server []byte, err error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	caCert := template("sandbox CA")
	caCert.IsCA = true
	caCert.BasicConstraintsValid = true
	caCert.KeyUsage = x509.KeyUsageCertSign
	caDER, err := x509.CreateCertificate(rand.Reader, caCert, caCert, &caKey.PublicKey, caKey)
	if err != nil {
		return nil, nil, err
	}

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	leaf := template("sandbox")
	leaf.KeyUsage = x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf.DNSNames = []string{"localhost"}
	leaf.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, caCert, &key.PublicKey, caKey)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return encodePEM("CERTIFICATE", caDER),
		bytes.Join([][]byte{encodePEM("CERTIFICATE", leafDER), encodePEM("PRIVATE KEY", keyDER)}, nil), nil
}

func template(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // never fails
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-certificateLife),
		NotAfter:     time.Now().Add(certificateLife),
	}
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
