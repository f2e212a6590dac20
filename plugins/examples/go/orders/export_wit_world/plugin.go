// Package export_wit_world is what Kiln calls, with what Kiln offers in its hands. Everything that can be tested is in
// package shop.
package export_wit_world

import (
	"errors"
	"fmt"

	clock "orders/build/bindings/kiln_plugin_clock"
	collection "orders/build/bindings/kiln_plugin_collection"
	configuration "orders/build/bindings/kiln_plugin_configuration"
	emit "orders/build/bindings/kiln_plugin_emit"
	http "orders/build/bindings/kiln_plugin_http"
	state "orders/build/bindings/kiln_plugin_state"
	telemetry "orders/build/bindings/kiln_plugin_telemetry"
	"orders/build/bindings/wit/types"
	"orders/shop"
)

var orders shop.Orders

// Configure satisfies the schema of plugin.toml, with defaults filled in and the token left out.
func Configure(config string) types.Result[types.Unit, configuration.ConfigError] {
	configured, err := shop.Configure([]byte(config))
	if err != nil {
		return types.Err[types.Unit](configuration.ConfigError{Message: err.Error()})
	}
	orders = configured
	return types.Ok[types.Unit, configuration.ConfigError](types.Unit{})
}

// Collect reads the shop once.
func Collect() types.Result[collection.Outcome, collection.CollectError] {
	more, err := orders.Collect(host{})
	if err != nil {
		return types.Err[collection.Outcome](meaning(err))
	}
	return types.Ok[collection.Outcome, collection.CollectError](collection.Outcome{More: more})
}

func meaning(err error) collection.CollectError {
	message := err.Error()
	switch {
	case errors.Is(err, shop.ErrUnauthorized):
		return collection.MakeCollectErrorUnauthorized(message)
	case errors.Is(err, shop.ErrUnavailable):
		return collection.MakeCollectErrorUnavailable(message)
	case errors.Is(err, shop.ErrInvalidData):
		return collection.MakeCollectErrorInvalidData(message)
	default:
		return collection.MakeCollectErrorFailed(message)
	}
}

// host is Kiln as package shop wants it.
type host struct{}

func (host) Now() uint64 { return clock.Now() }

func (host) Get(url string) (int, []byte, error) {
	answer := http.Send(http.Request{
		Method:  http.MethodGet,
		Url:     url,
		Headers: []http.Header{{Name: "accept", Value: "application/json"}},
		Body:    types.None[[]byte](),
	})
	if answer.IsErr() {
		return 0, nil, noAnswer(answer.Err())
	}
	return int(answer.Ok().Status), answer.Ok().Body, nil
}

func noAnswer(err http.Error) error {
	switch err.Tag() {
	case http.ErrorDenied:
		return fmt.Errorf("not sent: %s", err.Denied())
	case http.ErrorInvalidRequest:
		return fmt.Errorf("not sent: %s", err.InvalidRequest())
	case http.ErrorTooLarge:
		return fmt.Errorf("the answer is larger than %d bytes", err.TooLarge())
	case http.ErrorConnect:
		return fmt.Errorf("%w: cannot connect: %s", shop.ErrUnavailable, err.Connect())
	case http.ErrorTls:
		return fmt.Errorf("%w: no secure connection: %s", shop.ErrUnavailable, err.Tls())
	case http.ErrorProtocol:
		return fmt.Errorf("%w: the connection broke: %s", shop.ErrUnavailable, err.Protocol())
	default:
		return fmt.Errorf("%w: no answer in time", shop.ErrUnavailable)
	}
}

func (host) Load(key string) ([]byte, error) {
	stored := state.Get(key)
	if stored.IsErr() {
		return nil, errors.New("the state cannot be read")
	}
	return stored.Ok().SomeOr(nil), nil
}

func (host) Save(key string, value []byte) error {
	if state.Set(key, value).IsErr() {
		return errors.New("the state cannot be written")
	}
	return nil
}

func (host) Emit(reading shop.Reading) error {
	start := reading.Start
	var counts []telemetry.NumberPoint
	for _, count := range reading.Counts {
		counts = append(counts, number(count.Orders, start, text("status", count.Status)))
	}
	var total uint64
	for _, count := range reading.Buckets {
		total += count
	}
	duration := telemetry.HistogramPoint{
		StartTime:    start, // A time of 0: the host knows.
		Count:        total,
		Sum:          types.Some(reading.Seconds),
		Min:          types.None[float64](),
		Max:          types.None[float64](),
		Bounds:       shop.Bounds,
		BucketCounts: reading.Buckets,
	}
	metric := func(name, description, unit string, data telemetry.MetricData) telemetry.Metric {
		return telemetry.Metric{Name: name, Description: description, Unit: unit, Data: data}
	}
	batch := telemetry.ResourceMetrics{
		Resource: telemetry.Resource{Attributes: []telemetry.Attribute{text("shop.host", reading.Host)}},
		Scope:    telemetry.Scope{Name: "orders-go", Version: "0.1.0"},
		Metrics: []telemetry.Metric{
			metric("shop.orders.open", "orders that wait to be handled", "{order}",
				telemetry.MakeMetricDataGauge([]telemetry.NumberPoint{number(reading.Open, 0)})),
			metric("shop.orders.count", "orders handled", "{order}",
				telemetry.MakeMetricDataSum(telemetry.Sum{Temporality: telemetry.TemporalityCumulative, Monotonic: true, Points: counts})),
			metric("shop.order.duration", "time from an order to its end", "s",
				telemetry.MakeMetricDataHistogram(telemetry.Histogram{
					Temporality: telemetry.TemporalityCumulative, Points: []telemetry.HistogramPoint{duration},
				})),
		},
	}
	if refused := emit.Metrics([]telemetry.ResourceMetrics{batch}); refused.IsErr() {
		if err := refused.Err(); err.Tag() == emit.EmitErrorLimit {
			return errors.New(err.Limit())
		} else {
			return fmt.Errorf("the host refuses the telemetry: %s", err.Invalid())
		}
	}
	return nil
}

func number(value int64, start uint64, attributes ...telemetry.Attribute) telemetry.NumberPoint {
	return telemetry.NumberPoint{
		Attributes: attributes, StartTime: start, Value: types.Some(telemetry.MakeNumberInteger(value)),
	}
}

func text(key, value string) telemetry.Attribute {
	return telemetry.Attribute{Key: key, Value: telemetry.MakeAttributeValueText(value)}
}
