// What the processor promises.

#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "processor.h"

// Helpers of the bindings, which on this machine are not there.

void processor_string_dup_n(processor_string_t *to, const char *text, size_t length) {
  to->len = length;
  to->ptr = malloc(length + 1);
  memcpy(to->ptr, text, length);
}

void processor_string_dup(processor_string_t *to, const char *text) { processor_string_dup_n(to, text, strlen(text)); }
void processor_string_free(processor_string_t *text) { free(text->ptr); }
void processor_view_free(processor_view_t *view) { (void)view; }

static processor_string_t text(const char *of) { return (processor_string_t){.ptr = (uint8_t *)of, .len = strlen(of)}; }

int main(void) {
  processor_string_t config;
  processor_config_error_t refused;
  processor_string_dup(&config, "{\"keys\": [\"user\", \"owner\"]}");
  assert(exports_processor_configure(&config, &refused));

  // Named attributes are masked and no others.
  kiln_plugin_telemetry_attribute_t owners[] = {{.key = text("owner")}, {.key = text("zone")}};
  kiln_plugin_processing_resource_view_t resource = {.attributes = {.ptr = owners, .len = 2}};
  processor_view_t view = {.resources = {.ptr = &resource, .len = 1}};
  processor_list_edit_t edits;
  processor_process_error_t error;
  assert(exports_processor_process(&view, &edits, &error) && edits.len == 1);
  assert(edits.ptr[0].tag == KILN_PLUGIN_PROCESSING_EDIT_SET_RESOURCE_ATTRIBUTE);
  kiln_plugin_processing_set_attribute_t *set = &edits.ptr[0].val.set_resource_attribute;
  assert(set->target == 0 && set->key.len == 5 && memcmp(set->key.ptr, "owner", 5) == 0);
  assert(set->value.val.text.len == 3 && memcmp(set->value.val.text.ptr, "***", 3) == 0);
  processor_string_free(&set->key);
  processor_string_free(&set->value.val.text);
  free(edits.ptr);
  puts("1 passed");
}
