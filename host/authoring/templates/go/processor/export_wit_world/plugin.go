// Package export_wit_world is what Kiln calls. Everything that can be tested is in package mask.
package export_wit_world

import (
	"{{name}}/build/bindings/kiln_plugin_configuration"
	"{{name}}/build/bindings/kiln_plugin_processing"
	"{{name}}/build/bindings/kiln_plugin_telemetry"
	"{{name}}/build/bindings/wit/types"
	"{{name}}/mask"
)

type (
	configError  = kiln_plugin_configuration.ConfigError
	edit         = kiln_plugin_processing.Edit
	processError = kiln_plugin_processing.ProcessError
)

var masked mask.Mask

// Configure satisfies the schema of plugin.toml.
func Configure(config string) types.Result[types.Unit, configError] {
	var err error
	if masked, err = mask.Configure([]byte(config)); err != nil {
		return types.Err[types.Unit](configError{Message: err.Error()})
	}
	return types.Ok[types.Unit, configError](types.Unit{})
}

// Process masks the attributes of resources.
func Process(view kiln_plugin_processing.View) types.Result[[]edit, processError] {
	var edits []edit
	for index, resource := range view.Resources {
		for _, attribute := range resource.Attributes {
			if masked.Covers(attribute.Key) {
				edits = append(edits, kiln_plugin_processing.MakeEditSetResourceAttribute(kiln_plugin_processing.SetAttribute{
					Target: uint32(index),
					Key:    attribute.Key,
					Value:  kiln_plugin_telemetry.MakeAttributeValueText("***"),
				}))
			}
		}
	}
	return types.Ok[[]edit, processError](edits)
}
