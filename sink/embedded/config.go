package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// configFile is the engine's configuration inside the data folder, written anew at each start.
const configFile = "deskhouse-engine.xml"

// defaultMemoryRatio is explained at Config.MemoryRatio.
const defaultMemoryRatio = 0.5

// engineXML is the server configuration. Each line differs from ClickHouse's default for a reason:
//
//   - Caches are limits, not reservations, but ClickHouse's (5 GB each for marks, primary and skip indexes) exceed what a small
//     machine has. 128 MB of marks cover some hundred million rows of our tables.
//   - fsync: a batch counts as applied once the insert is acknowledged, so an acknowledged part must survive a power cut. Merged
//     parts need none: their sources stay for 8 minutes (old_parts_lifetime), longer than the kernel keeps dirty pages.
//   - keep_free_space_bytes: rows are refused (code 243) while less is free, so that what must not fail has room: see minFree.
//
// Log tables need no switching off: they exist only where the configuration names them. Background pools are left alone:
// clickhouse local takes 2 threads, right for small machines, and merges of 1 GB were seen to run with them.
const engineXML = `<clickhouse>
  <timezone>UTC</timezone>
  <max_server_memory_usage_to_ram_ratio>%s</max_server_memory_usage_to_ram_ratio>
  <mark_cache_size>134217728</mark_cache_size>
  <index_mark_cache_size>33554432</index_mark_cache_size>
  <primary_index_cache_size>134217728</primary_index_cache_size>
  <compiled_expression_cache_size>33554432</compiled_expression_cache_size>
  <storage_configuration><disks><default><keep_free_space_bytes>%d</keep_free_space_bytes></default></disks></storage_configuration>
  <merge_tree>
    <fsync_after_insert>1</fsync_after_insert>
    <fsync_part_directory>1</fsync_part_directory>
  </merge_tree>
</clickhouse>
`

const (
	// minFree is the room that a start wants on the folder's file system. On a full disk the engine reports success for CREATE
	// and ALTER, leaves an empty definition behind and never starts again on it (TestFactDefinitionsOnAFullDisk); whoever starts
	// an engine is about to prepare tables.
	minFree = 16 << 20
	// keepFree is more, so that an engine that filled the disk with rows still starts.
	keepFree = 64 << 20
)

// checkFree refuses a disk that is too full to start on.
func checkFree(dir string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("embedded engine: measure free disk space: %w", err)
	}
	if free := uint64(st.Bavail) * uint64(st.Bsize); free < minFree {
		return fmt.Errorf("%w: %d bytes on %s, a start wants %d", ErrNoSpace, free, dir, minFree)
	}
	return nil
}

// writeConfig creates the data folder if need be and the configuration in it, and returns its path. It may run while another
// engine uses the folder (the second start is refused only after it), hence the rename: a file is never half there, and both
// would write nearly the same.
func writeConfig(cfg Config) (string, error) {
	ratio := cfg.MemoryRatio
	if ratio == 0 {
		ratio = defaultMemoryRatio
	}
	if ratio < 0 || ratio > 1 {
		return "", fmt.Errorf("embedded engine: memory ratio %v: want more than 0, at most 1", ratio)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return "", fmt.Errorf("embedded engine: create data folder: %w", err)
	}
	if err := checkFree(cfg.Dir); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(cfg.Dir, configFile+".*") // mode 0600
	if err != nil {
		return "", fmt.Errorf("embedded engine: write configuration: %w", err)
	}
	_, err = fmt.Fprintf(f, engineXML, strconv.FormatFloat(ratio, 'f', -1, 64), keepFree)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	path := filepath.Join(cfg.Dir, configFile)
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return "", fmt.Errorf("embedded engine: write configuration: %w", err)
	}
	return path, nil
}
