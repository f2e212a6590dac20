// Masks the values of attributes of resources.
//
// Memory: the view is ours and is freed at the end. What an export returns is freed by the bindings, so that has to come
// from malloc.

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "processor.h"

#define TEXT 128
#define KEYS 64

static char keys[KEYS][TEXT];
static size_t key_count;

// It satisfies the schema of plugin.toml.
bool exports_processor_configure(processor_string_t *config, processor_config_error_t *error) {
  struct json json = json_of(config->ptr, config->len);
  char name[TEXT];
  key_count = 0;
  for (bool first = true; json_next(&json, '{', &first);) {
    json_key(&json, name, sizeof name);
    for (bool item = true; json_next(&json, '[', &item);) {
      if (key_count == KEYS) json.broken = true;
      else json_text(&json, keys[key_count++], TEXT);
    }
  }
  bool understood = json_end(&json);
  processor_string_free(config);
  if (understood) return true;
  processor_string_dup(&error->field, "/keys");
  processor_string_dup(&error->message, "has more than 64 keys, or one that is too long");
  return false;
}

static bool is_masked(const processor_string_t *key) {
  for (size_t i = 0; i < key_count; i++)
    if (strlen(keys[i]) == key->len && memcmp(keys[i], key->ptr, key->len) == 0) return true;
  return false;
}

static void mask(processor_list_edit_t *edits, uint32_t target, const processor_string_t *key) {
  processor_edit_t *grown = realloc(edits->ptr, (edits->len + 1) * sizeof *grown);
  if (grown == NULL) abort();
  edits->ptr = grown;
  processor_edit_t *edit = &edits->ptr[edits->len++];
  edit->tag = KILN_PLUGIN_PROCESSING_EDIT_SET_RESOURCE_ATTRIBUTE;
  kiln_plugin_processing_set_attribute_t *set = &edit->val.set_resource_attribute;
  set->target = target;
  processor_string_dup_n(&set->key, (const char *)key->ptr, key->len);
  set->value.tag = KILN_PLUGIN_TELEMETRY_ATTRIBUTE_VALUE_TEXT;
  processor_string_dup(&set->value.val.text, "***");
}

bool exports_processor_process(processor_view_t *view, processor_list_edit_t *edits, processor_process_error_t *error) {
  (void)error;
  *edits = (processor_list_edit_t){0};
  for (uint32_t i = 0; i < view->resources.len; i++) {
    kiln_plugin_processing_list_attribute_t attributes = view->resources.ptr[i].attributes;
    for (size_t j = 0; j < attributes.len; j++)
      if (is_masked(&attributes.ptr[j].key)) mask(edits, i, &attributes.ptr[j].key);
  }
  processor_view_free(view);
  return true;
}
