package pipeline

import (
	"context"
	"fmt"
	"slices"

	"deskhouse/source"
)

// removedFields marks the columns of custom fields that Zoho has no more. As for
// rows (rule 7), absence from a list is only a candidate: the field must have
// had its column before the list was asked for, the module must be
// answered by the resource that usually does, not too many may be missing at
// once (an agent that was narrowed is shown fewer), and a second list a minute
// later must lack them too. A mark loses nothing: the column keeps its values
// and takes any that still come, and the next list with the field takes it off.
func (r *run) removedFields(ctx context.Context) error {
	fields, ok := r.tp.reader.(*fieldTable)
	if !ok {
		return nil
	}
	for _, t := range fields.tables {
		module := source.Lookup(t).Module
		gone, answered := r.reading.lacked[module]
		if !source.Lookup(t).HasCustom() || !answered || r.reading.unanswered[module] {
			continue
		}
		known := r.wh.CustomFields(t)
		if len(gone) == 0 {
			continue
		}
		if tooMany(len(gone), len(known)) && !r.options.AcceptLoss {
			r.log.Warn().Str("table", string(t)).Int("fields", len(gone)).Int("known", len(known)).
				Msg("so many custom fields are not listed any more that they are taken for hidden: " + goOn(source.OrganizationFields))
			continue
		}
		if err := fields.retire(ctx, r.reading, t, gone); err != nil {
			return fmt.Errorf("mark removed custom fields of %s: %w", t, err)
		}
	}
	return nil
}

// tooMany fields at once are hidden rather than removed.
func tooMany(gone, known int) bool {
	return guarded(gone, uint64(known)) || gone > tableFloor && gone == known
}

// notListed are the known fields that a list lacks.
func notListed(known []string, listed []source.CustomField) []string {
	return slices.DeleteFunc(slices.Clone(known), func(name string) bool {
		return slices.ContainsFunc(listed, func(f source.CustomField) bool { return f.APIName == name })
	})
}

// retire lists the fields once more, a minute later, and marks those that are
// still missing. A list that is not to be had leaves them for the next round.
func (t *fieldTable) retire(ctx context.Context, r *reading, table source.Table, gone []string) error {
	if err := sleep(ctx, t.clock, missAgainAfter); err != nil {
		return err
	}
	module := source.Lookup(table).Module
	usual, err := t.usual(ctx)
	if err != nil {
		return err
	}
	page, custom, err := t.desk.Fields(ctx, r.priority, module)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil || page.Resource != usual[module] {
		t.log.Info().Err(err).Str("module", module).Msg("fields cannot be listed a second time: none is marked as removed")
		return nil
	}
	if gone = notListed(gone, custom); len(gone) == 0 {
		return nil
	}
	t.log.Info().Str("table", string(table)).Strs("fields", gone).Msg("custom fields were removed at Zoho: their columns stay, with their values")
	return t.wh.RemoveCustomFields(ctx, table, gone)
}
