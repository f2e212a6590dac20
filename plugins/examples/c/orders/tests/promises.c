// What the receiver promises. The tests stand in for the functions of the host that the bindings declare: requests are
// answered in turn, and what is emitted and remembered is kept.

#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "receiver.h"

struct answer {
  uint16_t status; // 0: no answer comes.
  const char *body;
};

static const struct answer *answers;
static char urls[16][256];
static int asked, emitted;
static int64_t paid, waiting;
static uint64_t start, buckets[5];
static double seconds;
static uint8_t *stored;
static size_t stored_length;

bool kiln_plugin_http_send(kiln_plugin_http_request_t *request, kiln_plugin_http_response_t *response, kiln_plugin_http_error_t *error) {
  const struct answer *answer = &answers[asked];
  snprintf(urls[asked++], sizeof *urls, "%.*s", (int)request->url.len, request->url.ptr);
  if (answer->status == 0) {
    error->tag = KILN_PLUGIN_HTTP_ERROR_TIMEOUT;
    return false;
  }
  *response = (kiln_plugin_http_response_t){.status = answer->status};
  response->body.len = strlen(answer->body);
  response->body.ptr = malloc(response->body.len + 1);
  memcpy(response->body.ptr, answer->body, response->body.len);
  return true;
}

bool kiln_plugin_emit_metrics(kiln_plugin_emit_list_resource_metrics_t *batch, kiln_plugin_emit_emit_error_t *error) {
  (void)error;
  kiln_plugin_telemetry_metric_t *metrics = batch->ptr[0].metrics.ptr;
  waiting = metrics[0].data.val.gauge.ptr[0].value.val.val.integer;
  kiln_plugin_telemetry_number_point_t *count = metrics[1].data.val.sum.points.ptr;
  if (metrics[1].data.val.sum.points.len > 0) paid = count->value.val.val.integer, start = count->start_time;
  memcpy(buckets, metrics[2].data.val.histogram.points.ptr[0].bucket_counts.ptr, sizeof buckets);
  seconds = metrics[2].data.val.histogram.points.ptr[0].sum.val;
  return ++emitted;
}

bool kiln_plugin_state_get(receiver_string_t *key, receiver_option_list_u8_t *value, kiln_plugin_state_error_t *error) {
  (void)key, (void)error;
  *value = (receiver_option_list_u8_t){.is_some = stored != NULL};
  if (stored == NULL) return true;
  value->val = (receiver_list_u8_t){.ptr = malloc(stored_length), .len = stored_length};
  memcpy(value->val.ptr, stored, stored_length);
  return true;
}

bool kiln_plugin_state_set(receiver_string_t *key, receiver_list_u8_t *value, kiln_plugin_state_error_t *error) {
  (void)key, (void)error;
  stored = realloc(stored, stored_length = value->len);
  memcpy(stored, value->ptr, value->len);
  return true;
}

uint64_t kiln_plugin_clock_now(void) { return 7; }

// Helpers of the bindings, which on this machine are not there.

void receiver_string_dup(receiver_string_t *to, const char *text) {
  to->len = strlen(text);
  to->ptr = malloc(to->len + 1);
  memcpy(to->ptr, text, to->len);
}

void receiver_string_free(receiver_string_t *text) { free(text->ptr); }
void receiver_option_list_u8_free(receiver_option_list_u8_t *value) { free(value->val.ptr); }
void kiln_plugin_http_response_free(kiln_plugin_http_response_t *response) { free(response->body.ptr); }
void kiln_plugin_http_error_free(kiln_plugin_http_error_t *error) { (void)error; }
void kiln_plugin_state_error_free(kiln_plugin_state_error_t *error) { (void)error; }
void kiln_plugin_emit_emit_error_free(kiln_plugin_emit_emit_error_t *error) { (void)error; }

static void configure(void) {
  receiver_string_t config;
  receiver_config_error_t error;
  receiver_string_dup(&config, "{\"host\": \"https://shop.example/\", \"page_size\": 2}");
  assert(exports_receiver_configure(&config, &error));
}

// A host that remembers nothing, and answers so.
static void begin(const struct answer *with) {
  free(stored);
  stored = NULL;
  asked = emitted = 0;
  answers = with;
  configure();
}

#define ORDER(status, seconds) "{\"id\": null, \"status\": \"" status "\", \"seconds\": " seconds "}"
#define PAGE(orders, cursor, more, open) \
  { 200, "{\"orders\": [" orders "], \"cursor\": \"" cursor "\", \"more\": " more ", \"open\": " open "}" }

static void pages_are_followed_and_every_order_is_counted(void) {
  receiver_outcome_t outcome;
  receiver_collect_error_t error;
  begin((struct answer[]){PAGE(ORDER("paid", "0.2") "," ORDER("paid", "3"), "a b", "true", "0"), PAGE(ORDER("void", "0.5"), "c", "false", "4")});
  assert(exports_receiver_collect(&outcome, &error) && !outcome.more);
  assert(strcmp(urls[0], "https://shop.example/api/orders?limit=2") == 0);
  assert(strcmp(urls[1], "https://shop.example/api/orders?limit=2&after=a%20b") == 0);
  assert(paid == 2 && waiting == 4 && seconds == 3.7);
  assert(buckets[0] == 2 && buckets[1] == 0 && buckets[2] == 1 && buckets[3] == 0 && buckets[4] == 0);
}

static void what_was_counted_is_not_counted_again(void) {
  receiver_outcome_t outcome;
  receiver_collect_error_t error;
  begin((struct answer[]){PAGE(ORDER("paid", "1"), "a", "false", "0"), PAGE(ORDER("paid", "1"), "b", "false", "0")});
  assert(exports_receiver_collect(&outcome, &error));
  configure();
  assert(exports_receiver_collect(&outcome, &error));
  assert(strstr(urls[1], "&after=a") != NULL && paid == 2 && start == 7);
}

static void what_goes_wrong_has_a_name(void) {
  static const struct {
    struct answer answer;
    uint8_t tag;
  } cases[] = {
    {{401, ""}, KILN_PLUGIN_COLLECTION_COLLECT_ERROR_UNAUTHORIZED},
    {{503, ""}, KILN_PLUGIN_COLLECTION_COLLECT_ERROR_UNAVAILABLE},
    {{0, ""}, KILN_PLUGIN_COLLECTION_COLLECT_ERROR_UNAVAILABLE},
    {{200, "<html>"}, KILN_PLUGIN_COLLECTION_COLLECT_ERROR_INVALID_DATA},
    {{200, "{\"orders\": [{}]}"}, KILN_PLUGIN_COLLECTION_COLLECT_ERROR_INVALID_DATA},
    {{200, "{\"orders\": [], \"cursor\": \"a\", \"more\": fal"}, KILN_PLUGIN_COLLECTION_COLLECT_ERROR_INVALID_DATA},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    receiver_outcome_t outcome;
    receiver_collect_error_t error;
    begin(&cases[i].answer);
    assert(!exports_receiver_collect(&outcome, &error) && error.tag == cases[i].tag);
    assert(emitted == 0 && stored == NULL);
    receiver_string_free(&error.val.failed);
  }
}

static void json_is_decoded(void) {
  static const char text[] = " [\"\\u00fc\\ud83d\\ude00\\n\", {\"a\": [1, {}, \"\\\"\"], \"b\": null}, -1.5e2, \"x\"] ";
  char out[16];
  struct json json = json_of((const uint8_t *)text, sizeof text - 1);
  bool first = true;
  assert(json_next(&json, '[', &first) && json_text(&json, out, sizeof out) == 7 && strcmp(out, "ü😀\n") == 0);
  assert(json_next(&json, '[', &first)), json_skip(&json);
  assert(json_next(&json, '[', &first) && json_number(&json) == -150);
  assert(json_next(&json, '[', &first) && json_text(&json, out, 1) == 0 && json.broken && !json_end(&json));
  // Every beginning of it is broken and read without harm, at the exact end of what was allocated.
  for (size_t length = 0; length < sizeof text - 2; length++) {
    uint8_t *copy = malloc(length + 1);
    memcpy(copy, text, length);
    json = json_of(copy, length);
    json_skip(&json);
    assert(!json_end(&json) || length >= sizeof text - 2);
    free(copy);
  }
}

int main(void) {
  pages_are_followed_and_every_order_is_counted();
  what_was_counted_is_not_counted_again();
  what_goes_wrong_has_a_name();
  json_is_decoded();
  free(stored);
  puts("4 passed");
}
