package upkeep

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// measureLimit is how long a scrape may wait for the store.
const measureLimit = 2 * time.Second

// gauges measure at each scrape.
type gauges struct{ k *Keeper }

var (
	usedBytes     = prometheus.NewDesc("serin_store_bytes", "What the store takes: pages that hold something and the write-ahead log.", nil, nil)
	reusableBytes = prometheus.NewDesc("serin_store_reusable_bytes", "Free pages of the store's file, used before it grows.", nil, nil)
	budgetBytes   = prometheus.NewDesc("serin_store_budget_bytes", "What the store may take; 0 = no bound.", nil, nil)
	warnBytes     = prometheus.NewDesc("serin_store_warn_bytes", "What the store takes when it begins to warn; 0 = never.", nil, nil)
	leftBytes     = prometheus.NewDesc("serin_disk_free_bytes", "Free on the file system of the data directory.", nil, nil)
	floorBytes    = prometheus.NewDesc("serin_disk_floor_bytes", "What should be free on the file system of the data directory.", nil, nil)
)

// Describe implements prometheus.Collector.
func (g gauges) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{usedBytes, reusableBytes, budgetBytes, warnBytes, leftBytes, floorBytes} {
		out <- d
	}
}

// Collect implements prometheus.Collector. What cannot be measured is left out.
func (g gauges) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), measureLimit)
	defer cancel()
	put := func(d *prometheus.Desc, n int64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n))
	}
	room := g.k.Policy().Room
	put(budgetBytes, room.Budget)
	put(warnBytes, room.Warn)
	put(floorBytes, room.Floor)
	if size, err := g.k.o.Store.Size(ctx); err == nil {
		put(usedBytes, size.Used+size.Log)
		put(reusableBytes, size.Free)
	}
	if left, err := g.k.o.Left(); err == nil {
		put(leftBytes, left)
	}
}
