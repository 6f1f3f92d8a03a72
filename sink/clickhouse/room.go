package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// ErrNoRoom: the server's disk is too full to change definitions on; retry.
var ErrNoRoom = errors.New("the server's disk is full")

// definitionRoom is the free space that a change of definitions wants: they have
// a few KB each, and between the look and the change others write too.
const definitionRoom = 16 << 20

const codeNotEnoughSpace = 243

// room refuses to change definitions on a full disk. There ClickHouse 26.7.2.1
// (chdb 26.7.3) reports success for CREATE and ALTER, leaves an empty file as
// the table's definition, and does not start again (seen; package embedded
// repeats it in a test). A server that does not tell its disks is trusted.
func (w *Warehouse) room(ctx context.Context, op string) error {
	free := uint64(definitionRoom)
	err := w.scan(ctx, "measure the server's disk", "SELECT free_space FROM system.disks WHERE name = 'default'", nil,
		func(row scanner) error { return row.Scan(&free) })
	if isDenied(err) {
		return nil
	}
	if err == nil && free < definitionRoom {
		err = &Error{Op: op, Code: codeNotEnoughSpace, Name: "NOT_ENOUGH_SPACE", Retry: true,
			Err: fmt.Errorf("%w: %d bytes free, %d wanted", ErrNoRoom, free, uint64(definitionRoom))}
	}
	return err
}

// defines reports whether a statement writes a definition to the server's disk.
func defines(sql string) bool {
	return strings.HasPrefix(sql, "CREATE ") || strings.HasPrefix(sql, "ALTER ") || strings.HasPrefix(sql, "RENAME ")
}
