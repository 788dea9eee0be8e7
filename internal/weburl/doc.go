// Package weburl writes URLs and origins in the one form in which browsers and other clients send
// and compare them:
//
//	Canonical   the URL with its scheme, host, port and path in that form
//	Origin      the origin of a URL, as the header Origin has it (RFC 6454 §6.2)
//
// It knows no setting and no feature. Packages that compare URLs exactly refuse a value that is not
// in this form, and name the form in the error.
package weburl
