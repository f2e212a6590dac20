// Package export_wit_world is what Kiln calls, with what Kiln offers in its hands. Everything that can be tested is in
// package queues.
package export_wit_world

import (
	"{{name}}/build/bindings/kiln_plugin_collection"
	"{{name}}/build/bindings/kiln_plugin_configuration"
	"{{name}}/build/bindings/kiln_plugin_emit"
	"{{name}}/build/bindings/kiln_plugin_http"
	"{{name}}/build/bindings/kiln_plugin_telemetry"
	"{{name}}/build/bindings/wit/types"
	"{{name}}/queues"
)

type (
	outcome      = kiln_plugin_collection.Outcome
	collectError = kiln_plugin_collection.CollectError
	configError  = kiln_plugin_configuration.ConfigError
)

var url string

// Configure satisfies the schema of plugin.toml, without the token: the host keeps that and signs in itself.
func Configure(config string) types.Result[types.Unit, configError] {
	var err error
	if url, err = queues.URL([]byte(config)); err != nil {
		return types.Err[types.Unit](configError{Message: err.Error()})
	}
	return types.Ok[types.Unit, configError](types.Unit{})
}

// Collect reads the queues once.
func Collect() types.Result[outcome, collectError] {
	request := kiln_plugin_http.Request{Method: kiln_plugin_http.MethodGet, Url: url, Body: types.None[[]byte]()}
	answer := kiln_plugin_http.Send(request)
	if answer.IsErr() {
		return fail(kiln_plugin_collection.MakeCollectErrorUnavailable("/api/queues: no answer"))
	}
	if answer.Ok().Status != 200 {
		return fail(kiln_plugin_collection.MakeCollectErrorUnavailable("/api/queues: the server does not answer with 200"))
	}
	read, err := queues.Read(answer.Ok().Body)
	if err != nil {
		return fail(kiln_plugin_collection.MakeCollectErrorInvalidData("/api/queues: " + err.Error()))
	}
	if refused := kiln_plugin_emit.Metrics([]kiln_plugin_telemetry.ResourceMetrics{metrics(read)}); refused.IsErr() {
		return fail(kiln_plugin_collection.MakeCollectErrorFailed("the host refuses the telemetry"))
	}
	return types.Ok[outcome, collectError](outcome{})
}

func fail(err collectError) types.Result[outcome, collectError] { return types.Err[outcome](err) }

func metrics(read []queues.Queue) kiln_plugin_telemetry.ResourceMetrics {
	var points []kiln_plugin_telemetry.NumberPoint
	for _, queue := range read {
		name := kiln_plugin_telemetry.Attribute{
			Key: "queue", Value: kiln_plugin_telemetry.MakeAttributeValueText(queue.Name),
		}
		// Times of 0: the host knows.
		points = append(points, kiln_plugin_telemetry.NumberPoint{
			Attributes: []kiln_plugin_telemetry.Attribute{name},
			Value:      types.Some(kiln_plugin_telemetry.MakeNumberInteger(queue.Length)),
		})
	}
	return kiln_plugin_telemetry.ResourceMetrics{
		Scope: kiln_plugin_telemetry.Scope{Name: "{{name}}", Version: "0.1.0"},
		Metrics: []kiln_plugin_telemetry.Metric{{
			Name:        "{{ident}}.queue.length",
			Description: "items that wait in the queue",
			Unit:        "{item}",
			Data:        kiln_plugin_telemetry.MakeMetricDataGauge(points),
		}},
	}
}
