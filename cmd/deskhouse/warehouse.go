package main

import (
	"github.com/rs/zerolog"

	"deskhouse/config"
	"deskhouse/sink/clickhouse"
	"deskhouse/source"
)

// warehouseConfig is how a pipeline's warehouse is opened, by whoever opens it.
// url is where the server listens: the embedded engine's is known once it runs.
func warehouseConfig(url, name string, p config.Pipeline, org uint64, log zerolog.Logger) clickhouse.Config {
	masks, _ := masksOf(name, p) // a selection that cannot be was refused when the configuration was loaded
	return clickhouse.Config{URL: url, Database: p.Warehouse.Database, User: p.Warehouse.User, Password: p.Warehouse.Password.Reveal(),
		TLS: warehouseTLS(p.Warehouse.TLS), Settings: p.Warehouse.Settings, Compression: string(p.Warehouse.Compression), OrgID: org, Pipeline: name,
		History: historyModes(p), Layout: clickhouse.Layout(p.Warehouse.Layout), Select: masks, Logger: log}
}

func historyModes(p config.Pipeline) map[source.Table]clickhouse.HistoryMode {
	modes := map[source.Table]clickhouse.HistoryMode{}
	for name, t := range p.Tables {
		modes[source.Table(name)] = clickhouse.HistoryMode(t.History)
	}
	return modes
}

func warehouseTLS(t *config.TLS) *clickhouse.TLS {
	if t == nil {
		return nil
	}
	return &clickhouse.TLS{CA: t.CA, Cert: t.Cert, Key: t.Key, ServerName: t.ServerName}
}
