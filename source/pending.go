package source

// PendingColumn is a column that was added to a table which had rows: they lack
// its values until a complete reading has written them once more. Two of them
// are equal only if one change marked them, so what comes into use again during
// a reading is told from what that reading filled.
type PendingColumn struct {
	Register Register
	Column   string
	Mark     uint64
	// Kept: the column was in use before, so rows that have not been written since
	// show what it held then.
	Kept bool
	// Read: a complete reading has written all rows that a reading brings; others,
	// of archived tickets, still lack the values.
	Read bool
}
