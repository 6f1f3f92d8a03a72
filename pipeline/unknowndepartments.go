package pipeline

import (
	"context"
	"fmt"
	"slices"

	"deskhouse/source"
)

// unknownDepartments are those that a table's selection names and the portal
// does not list, and whether it therefore selects none at all.
func (d deps) unknownDepartments(ctx context.Context, t source.Table) (unknown []uint64, none bool, err error) {
	only, except := d.masks[t].Departments()
	if len(only)+len(except) == 0 {
		return nil, false, nil
	}
	listed, err := d.departmentIDs(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("list departments: %w", err)
	}
	unknown = slices.DeleteFunc(slices.Concat(only, except), func(id uint64) bool { return slices.Contains(listed, id) })
	return unknown, len(only) > 0 && len(unknown) == len(only), nil
}

// warnOfDepartments logs the departments of selections that are not the portal's.
// Without an answer nothing is said: each resync asks again.
func (p *Pipeline) warnOfDepartments(ctx context.Context) {
	for _, t := range p.cfg.Tables {
		unknown, _, err := p.unknownDepartments(ctx, t)
		if err != nil {
			p.log.Info().Err(err).Str("table", string(t)).Msg("the departments of the selection cannot be looked up")
		}
		if len(unknown) > 0 {
			p.log.Warn().Str("table", string(t)).Uints64("departments", unknown).
				Msg("the selection names departments that the portal does not list: mistyped, or not visible to the agent")
		}
	}
}

// selects refuses a comparison under a selection that would empty the whole
// table, because the portal lists none of its departments.
func (r *run) selects(ctx context.Context) error {
	t := r.tp.w.table
	unknown, none, err := r.unknownDepartments(ctx, t)
	if err != nil || !none || r.options.AcceptLoss {
		return err
	}
	return fmt.Errorf("%w: departments.only of %s names none of the portal's departments (%v); the rows are left as they are; correct it and start again, or %s",
		ErrGuard, t, unknown, goOn(t))
}
