// Says how long queues are.
//
// Memory: what the host returns is freed with the function of its type, and what is handed to the host is only borrowed.
// What an export returns is freed by the bindings, so that has to come from malloc.

#include <stdio.h>
#include <string.h>

#include "json.h"
#include "receiver.h"

#define TEXT 128
#define URL 512
#define QUEUES 64

static char url[URL];

struct queue {
  char name[TEXT];
  int64_t length;
};

static receiver_string_t borrowed(const char *text) {
  return (receiver_string_t){.ptr = (uint8_t *)text, .len = strlen(text)};
}

static bool fail(receiver_collect_error_t *error, uint8_t tag, const char *message) {
  error->tag = tag;
  receiver_string_dup(&error->val.failed, message);
  return false;
}

// It satisfies the schema of plugin.toml, without the token: the host keeps that and signs in itself.
bool exports_receiver_configure(receiver_string_t *config, receiver_config_error_t *error) {
  struct json json = json_of(config->ptr, config->len);
  char key[TEXT], host[URL / 2] = "";
  for (bool first = true; json_next(&json, '{', &first);) {
    json_key(&json, key, sizeof key);
    if (strcmp(key, "host") == 0) json_text(&json, host, sizeof host);
    else json_skip(&json);
  }
  bool understood = json_end(&json);
  receiver_string_free(config);
  for (size_t length = strlen(host); length > 0 && host[length - 1] == '/';) host[--length] = 0;
  snprintf(url, sizeof url, "%s/api/queues", host);
  if (understood) return true;
  receiver_string_dup(&error->field, "/host");
  receiver_string_dup(&error->message, "is too long");
  return false;
}

static size_t read_queues(struct json *json, struct queue queues[QUEUES]) {
  char key[TEXT];
  size_t count = 0;
  for (bool item = true; json_next(json, '[', &item);) {
    struct queue *queue = &queues[count];
    if (count++ == QUEUES) return json->broken = true, 0;
    for (bool first = true; json_next(json, '{', &first);) {
      json_key(json, key, sizeof key);
      if (strcmp(key, "name") == 0) json_text(json, queue->name, sizeof queue->name);
      else if (strcmp(key, "length") == 0) queue->length = (int64_t)json_number(json);
      else json_skip(json);
    }
  }
  return count;
}

static bool read(struct queue queues[QUEUES], size_t *count, receiver_collect_error_t *error) {
  kiln_plugin_http_request_t request = {.method = KILN_PLUGIN_HTTP_METHOD_GET, .url = borrowed(url)};
  kiln_plugin_http_response_t response;
  kiln_plugin_http_error_t said;
  if (!kiln_plugin_http_send(&request, &response, &said)) {
    bool denied = said.tag == KILN_PLUGIN_HTTP_ERROR_DENIED;
    kiln_plugin_http_error_free(&said);
    return fail(error, KILN_PLUGIN_COLLECTION_COLLECT_ERROR_UNAVAILABLE, denied ? "the request is denied" : "no answer");
  }
  bool ok = response.status == 200, whole = false;
  char key[TEXT];
  struct json json = json_of(response.body.ptr, response.body.len);
  for (bool first = true; ok && json_next(&json, '{', &first);) {
    json_key(&json, key, sizeof key);
    if (strcmp(key, "queues") == 0) whole = true, *count = read_queues(&json, queues);
    else json_skip(&json);
  }
  whole = whole && json_end(&json);
  kiln_plugin_http_response_free(&response);
  if (!ok) return fail(error, KILN_PLUGIN_COLLECTION_COLLECT_ERROR_UNAVAILABLE, "the server does not answer with 200");
  return whole || fail(error, KILN_PLUGIN_COLLECTION_COLLECT_ERROR_INVALID_DATA, "not a list of at most 64 queues");
}

bool exports_receiver_collect(receiver_outcome_t *outcome, receiver_collect_error_t *error) {
  static struct queue queues[QUEUES];
  size_t count = 0;
  memset(queues, 0, sizeof queues);
  if (!read(queues, &count, error)) return false;

  kiln_plugin_telemetry_attribute_t names[QUEUES];
  kiln_plugin_telemetry_number_point_t points[QUEUES];
  for (size_t i = 0; i < count; i++) {
    names[i].key = borrowed("queue");
    names[i].value.tag = KILN_PLUGIN_TELEMETRY_ATTRIBUTE_VALUE_TEXT;
    names[i].value.val.text = borrowed(queues[i].name);
    points[i] = (kiln_plugin_telemetry_number_point_t){
      .attributes = {.ptr = &names[i], .len = 1}, // Times of 0: the host knows.
      .value = {.is_some = true, .val = {.tag = KILN_PLUGIN_TELEMETRY_NUMBER_INTEGER, .val.integer = queues[i].length}},
    };
  }
  kiln_plugin_telemetry_metric_t gauge = {
    .name = borrowed("{{ident}}.queue.length"),
    .description = borrowed("items that wait in the queue"),
    .unit = borrowed("{item}"),
    .data = {.tag = KILN_PLUGIN_TELEMETRY_METRIC_DATA_GAUGE, .val.gauge = {.ptr = points, .len = count}},
  };
  kiln_plugin_telemetry_resource_metrics_t batch = {
    .scope = {.name = borrowed("{{name}}"), .version = borrowed("0.1.0")},
    .metrics = {.ptr = &gauge, .len = 1},
  };
  kiln_plugin_emit_list_resource_metrics_t batches = {.ptr = &batch, .len = 1};
  kiln_plugin_emit_emit_error_t said;
  if (!kiln_plugin_emit_metrics(&batches, &said)) {
    // The message is the bindings' to free, and comes from malloc already.
    error->tag = KILN_PLUGIN_COLLECTION_COLLECT_ERROR_FAILED;
    error->val.failed = said.val.invalid;
    return false;
  }
  *outcome = (receiver_outcome_t){.more = false};
  return true;
}
