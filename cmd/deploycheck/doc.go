// Package deploycheck checks the files of deploy/ that other programs read, against what
// those programs take: Compose's own loader, and Kubernetes' own types. It is a module of
// its own, so that nobody who uses durable gets their dependencies.
package deploycheck
