// What the receiver promises. The tests stand in for the functions of the host that the bindings declare.

#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "receiver.h"

static uint16_t status;
static const char *body;
static char emitted[256];

bool kiln_plugin_http_send(kiln_plugin_http_request_t *request, kiln_plugin_http_response_t *response, kiln_plugin_http_error_t *error) {
  (void)error;
  assert(strncmp((char *)request->url.ptr, "https://queues.example/api/queues", request->url.len) == 0);
  *response = (kiln_plugin_http_response_t){.status = status};
  response->body.len = strlen(body);
  response->body.ptr = malloc(response->body.len + 1);
  memcpy(response->body.ptr, body, response->body.len);
  return true;
}

bool kiln_plugin_emit_metrics(kiln_plugin_emit_list_resource_metrics_t *batch, kiln_plugin_emit_emit_error_t *error) {
  (void)error;
  kiln_plugin_telemetry_list_number_point_t points = batch->ptr[0].metrics.ptr[0].data.val.gauge;
  for (size_t i = 0; i < points.len; i++) {
    receiver_string_t queue = points.ptr[i].attributes.ptr[0].value.val.text;
    size_t length = strlen(emitted);
    int items = (int)points.ptr[i].value.val.val.integer;
    snprintf(emitted + length, sizeof emitted - length, "%.*s=%d ", (int)queue.len, queue.ptr, items);
  }
  return true;
}

// Helpers of the bindings, which on this machine are not there.

void receiver_string_dup(receiver_string_t *to, const char *text) {
  to->len = strlen(text);
  to->ptr = malloc(to->len + 1);
  memcpy(to->ptr, text, to->len);
}

void receiver_string_free(receiver_string_t *text) { free(text->ptr); }
void kiln_plugin_http_response_free(kiln_plugin_http_response_t *response) { free(response->body.ptr); }
void kiln_plugin_http_error_free(kiln_plugin_http_error_t *error) { (void)error; }

int main(void) {
  receiver_string_t config;
  receiver_config_error_t refused;
  receiver_outcome_t outcome;
  receiver_collect_error_t error;
  receiver_string_dup(&config, "{\"host\": \"https://queues.example/\"}");
  assert(exports_receiver_configure(&config, &refused));

  // Every queue is a point.
  status = 200, body = "{\"queues\": [{\"name\": \"mail\", \"length\": 3}, {\"name\": \"jobs\", \"length\": 0}]}";
  assert(exports_receiver_collect(&outcome, &error) && !outcome.more);
  assert(strcmp(emitted, "mail=3 jobs=0 ") == 0);

  // What goes wrong has a name.
  status = 503, body = "";
  assert(!exports_receiver_collect(&outcome, &error));
  assert(error.tag == KILN_PLUGIN_COLLECTION_COLLECT_ERROR_UNAVAILABLE);
  receiver_string_free(&error.val.failed);
  status = 200, body = "<html>";
  assert(!exports_receiver_collect(&outcome, &error));
  assert(error.tag == KILN_PLUGIN_COLLECTION_COLLECT_ERROR_INVALID_DATA);
  receiver_string_free(&error.val.failed);
  puts("3 passed");
}
