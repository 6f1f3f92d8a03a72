//go:build race

package main

// underRace: the simulator in this process is slowed down several times.
const underRace = true
