// Package shop counts the orders of a shop, each once, and says how long they took.
//
// The API hands out orders in pages, oldest first, each with the cursor to go on from. The cursor and what has been counted
// so far are one value in the host's state: it is committed with the telemetry or not at all, so an order is counted once
// whatever happens in between.
package shop

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Bounds are those that plugin.toml declares.
var Bounds = []float64{0.5, 1, 5, 10}

// Pages are read in one go before what was emitted is queued.
const Pages = 10

const stateKey = "progress"

// What a collection can fail with, beside what is a mistake or the operator's to mend.
var (
	ErrUnauthorized = errors.New("unauthorized")
	ErrUnavailable  = errors.New("unavailable")
	ErrInvalidData  = errors.New("invalid data")
)

// Host is what Kiln offers.
type Host interface {
	Now() uint64
	Get(url string) (status int, body []byte, err error)
	Load(key string) ([]byte, error)
	Save(key string, value []byte) error
	Emit(Reading) error
}

// Orders is an instance, as its configuration makes it.
type Orders struct {
	Host     string `json:"host"`
	PageSize int    `json:"page_size"`
}

// Reading is what is told after a collection.
type Reading struct {
	Host    string
	Start   uint64
	Open    int64
	Counts  []Count
	Buckets []uint64
	Seconds float64
}

// Count is how many orders came to the same end.
type Count struct {
	Status string
	Orders int64
}

// progress is what is remembered between collections.
type progress struct {
	Start   uint64
	Cursor  string
	Counts  map[string]int64
	Buckets []uint64
	Seconds float64
}

type page struct {
	Orders []struct {
		Status  *string
		Seconds *float64
	}
	Cursor *string
	More   bool
	Open   int64
}

// Configure reads what satisfies the schema of plugin.toml.
func Configure(config []byte) (Orders, error) {
	var orders Orders
	err := json.Unmarshal(config, &orders)
	orders.Host = strings.TrimRight(orders.Host, "/")
	return orders, err
}

// Collect reads on from where the last collection ended, and tells whether there is more.
func (o Orders) Collect(host Host) (more bool, err error) {
	progress, err := load(host)
	if err != nil {
		return false, err
	}
	var page page
	for read := 0; read < Pages && (read == 0 || page.More); read++ {
		if page, err = o.page(host, progress.Cursor); err != nil {
			return false, fmt.Errorf("/api/orders: %w", err)
		}
		for _, order := range page.Orders {
			progress.record(*order.Status, *order.Seconds)
		}
		progress.Cursor = *page.Cursor
	}
	if err := host.Emit(o.reading(progress, page.Open)); err != nil {
		return false, err
	}
	stored, err := json.Marshal(progress)
	if err != nil {
		return false, err
	}
	return page.More, host.Save(stateKey, stored)
}

func load(host Host) (progress, error) {
	fresh := progress{Counts: map[string]int64{}, Buckets: make([]uint64, len(Bounds)+1)}
	stored, err := host.Load(stateKey)
	if err != nil {
		return fresh, err
	}
	if stored == nil {
		fresh.Start = host.Now()
		return fresh, nil
	}
	return fresh, json.Unmarshal(stored, &fresh)
}

func (p *progress) record(status string, seconds float64) {
	p.Counts[status]++
	bucket, _ := slices.BinarySearch(Bounds, seconds)
	p.Buckets[bucket]++
	p.Seconds += seconds
}

func (o Orders) page(host Host, cursor string) (page, error) {
	query := fmt.Sprintf("limit=%d", o.PageSize)
	if cursor != "" {
		query += "&after=" + url.QueryEscape(cursor)
	}
	var page page
	status, body, err := host.Get(fmt.Sprintf("%s/api/orders?%s", o.Host, query))
	switch {
	case err != nil:
		return page, err
	case status == 401 || status == 403:
		return page, fmt.Errorf("%w: status %d", ErrUnauthorized, status)
	case status == 429 || status >= 500:
		return page, fmt.Errorf("%w: status %d", ErrUnavailable, status)
	case status != 200:
		return page, fmt.Errorf("%w: status %d", ErrInvalidData, status)
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return page, fmt.Errorf("%w: %v", ErrInvalidData, err)
	}
	whole := page.Cursor != nil
	for _, order := range page.Orders {
		whole = whole && order.Status != nil && order.Seconds != nil
	}
	if !whole {
		return page, fmt.Errorf("%w: not a page of orders", ErrInvalidData)
	}
	return page, nil
}

func (o Orders) reading(progress progress, open int64) Reading {
	reading := Reading{Host: o.Host, Start: progress.Start, Open: open, Buckets: progress.Buckets, Seconds: progress.Seconds}
	for _, status := range slices.Sorted(maps.Keys(progress.Counts)) {
		reading.Counts = append(reading.Counts, Count{status, progress.Counts[status]})
	}
	return reading
}
