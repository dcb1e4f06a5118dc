package ldap

import (
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// explain says what a server's refusal means and what to do about it.
func explain(err error) error {
	var e *ldap.Error
	if !errors.As(err, &e) {
		return err
	}
	var advice string
	switch e.ResultCode {
	case ldap.LDAPResultInvalidCredentials:
		advice = "the name or the password is wrong"
		if m := adBindCode.FindStringSubmatch(e.Error()); m != nil && adBind[m[1]] != "" {
			advice = adBind[m[1]]
		}
	case ldap.LDAPResultStrongAuthRequired, ldap.LDAPResultConfidentialityRequired:
		advice = "the server wants encryption: write ldaps:// or start_tls: true"
	case ldap.LDAPResultSizeLimitExceeded:
		advice = "the server gives this account no more entries than its size limit: have the limit raised for it, or allow it paging"
	case ldap.LDAPResultAdminLimitExceeded:
		advice = "the server's limit for one search is reached: have it raised for this account, or read several bases"
	case ldap.LDAPResultTimeLimitExceeded:
		advice = "the server's time limit is reached: set page_size: to less, or have the limit raised for this account"
	case ldap.LDAPResultInsufficientAccessRights:
		advice = "this account may not read here"
	case ldap.LDAPResultNoSuchObject:
		advice = "there is no such entry, or this account may not see it: check base:"
	case ldap.LDAPResultOperationsError, ldap.LDAPResultInappropriateAuthentication:
		advice = "the server wants a bind first: write bind:"
	case ldap.LDAPResultReferral:
		advice = "the entries are on another server: name it in url:, or write a base: that this one holds"
	case ldap.LDAPResultBusy, ldap.LDAPResultUnavailable:
		advice = "the server is busy or shutting down"
	default:
		return err
	}
	return fmt.Errorf("%s (%w)", advice, err)
}

// adBindCode finds the Windows error in Active Directory's answer to a bind.
var adBindCode = regexp.MustCompile(`data ([0-9a-f]{3,4}),`)

// adBind are the Windows errors of a refused sign-in ([MS-ERREF] 2.2).
var adBind = map[string]string{
	"525": "there is no such account",
	"52e": "the name or the password is wrong",
	"530": "the account may not sign in at this time of day",
	"531": "the account may not sign in from this machine",
	"532": "the account's password has expired",
	"533": "the account is disabled",
	"701": "the account has expired",
	"773": "the account's password must be changed first",
	"775": "the account is locked out",
}

// explainTLS says what is wrong with a server's certificate.
func explainTLS(err error) error {
	var (
		invalid   x509.CertificateInvalidError
		host      x509.HostnameError
		authority x509.UnknownAuthorityError
	)
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("the server's certificate is valid from %s to %s only: %w", invalid.Cert.NotBefore.UTC().Format(time.DateOnly), invalid.Cert.NotAfter.UTC().Format(time.DateOnly), err)
	case errors.As(err, &host):
		return fmt.Errorf("the server's certificate is for another name: set server_name: if this is the right server: %w", err)
	case errors.As(err, &authority):
		return fmt.Errorf("nobody that is trusted signed the server's certificate: set ca: to the authority's PEM file: %w", err)
	}
	return err
}

// broken reports whether an error is of the connection, so that another one may do better, and not the server's answer.
func broken(err error) bool {
	var c *cut
	return errors.As(err, &c) || ldap.IsErrorAnyOf(err, ldap.LDAPResultBusy, ldap.LDAPResultUnavailable)
}
