//go:build !linux && !darwin

package config

import "errors"

// freeBytes cannot be told here.
func freeBytes(string) (uint64, error) {
	return 0, errors.New("this system does not tell gxpledger how much of the disk is free")
}
