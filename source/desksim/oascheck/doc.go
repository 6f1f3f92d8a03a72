// Package oascheck holds HTTP requests and replies against Zoho Desk's own OpenAPI files: is the path known, are the
// query parameters, do the bodies fit the schemas.
//
// The files describe an older state of the API than the live one and are wrong in places, so each known departure is
// listed, with its reason, in Departures. The package reads the files from a folder and contains none of them. It is
// used by tests only. A Spec is safe for concurrent use once loaded.
package oascheck
