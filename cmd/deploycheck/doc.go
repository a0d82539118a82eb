// Package deploycheck checks the files of deploy/ that other programs read. It uses the code of
// those programs: Compose's own loader, and Kubernetes' own types. It is a separate module, so
// that users of durable do not inherit their dependencies.
package deploycheck
