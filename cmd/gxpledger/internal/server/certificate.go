package server

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"
)

// soon is how long before its end the operator is warned of a certificate, or a third of its time if that is less.
const soon = 30 * 24 * time.Hour

// CertificateWarning says what clients will find wrong with the time of a certificate or of an intermediate one, "" for nothing.
func CertificateWarning(certificate tls.Certificate, now time.Time) string {
	for _, der := range certificate.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Sprintf("a certificate cannot be read: %v", err)
		}
		left, whole := c.NotAfter.Sub(now), c.NotAfter.Sub(c.NotBefore)
		until := c.NotAfter.UTC().Format(time.RFC3339)
		switch {
		case left < 0:
			return fmt.Sprintf("the certificate of %q expired at %s, and clients refuse it: replace it, and start the server again", c.Subject, until)
		case now.Before(c.NotBefore):
			return fmt.Sprintf("the certificate of %q is not valid before %s, and clients refuse it", c.Subject, c.NotBefore.UTC().Format(time.RFC3339))
		case left < min(soon, whole/3):
			return fmt.Sprintf("the certificate of %q expires at %s: replace it, and start the server again", c.Subject, until)
		}
	}
	return ""
}
