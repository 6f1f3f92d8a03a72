package clickhouse

import "deskhouse/source"

// keyCells are org_id and the key's columns.
type keyCells struct {
	byName       bool
	org, ids     []uint64
	modules, api []string
}

func (k *keyCells) add(org uint64, key source.Key) {
	k.org = append(k.org, org)
	if k.byName {
		module, api := splitName(key)
		k.modules, k.api = append(k.modules, module), append(k.api, api)
		return
	}
	k.ids = append(k.ids, key.ID)
}

// slices are the key's columns, without org_id.
func (k *keyCells) slices() []any {
	if k.byName {
		return []any{k.modules, k.api}
	}
	return []any{k.ids}
}

func (k *keyCells) reset() {
	k.org, k.ids = k.org[:0], k.ids[:0]
	clear(k.modules)
	clear(k.api)
	k.modules, k.api = k.modules[:0], k.api[:0]
}
