// Counts the orders of a shop, each once, and says how long they took.
//
// The API hands out orders in pages, oldest first, each with the cursor to go on from. The cursor and what has been
// counted so far are one value in the host's state: it is committed with the telemetry or not at all, so an order is
// counted once whatever happens in between.
//
// Memory: what the host returns is freed with the function of its type, and what is handed to the host is only borrowed.
// What an export returns is freed by the bindings, so that has to come from malloc.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "receiver.h"

// As plugin.toml declares them.
static double bounds[] = {0.5, 1, 5, 10};
#define BOUNDS (sizeof bounds / sizeof *bounds)

// What was emitted is queued before further pages are asked for; so many are read in one go.
#define PAGES 10

// More words for what can become of an order than any shop has.
#define STATUSES 16
#define TEXT 128
#define URL 512

struct count {
  char status[TEXT];
  int64_t orders;
};

// What is remembered between collections, as it is: only this plugin on this target ever reads it.
struct progress {
  uint32_t version;
  uint32_t statuses;
  uint64_t start;
  char cursor[TEXT];
  struct count counts[STATUSES];
  uint64_t buckets[BOUNDS + 1];
  double seconds;
};

#define VERSION 1

static char host[URL];
static uint32_t page_size;

static receiver_string_t borrowed(const char *text) {
  return (receiver_string_t){.ptr = (uint8_t *)text, .len = strlen(text)};
}

// Fails a collection: `problem` and, if there is one, what the host said, of which only as much as fits.
static bool fail(receiver_collect_error_t *error, uint8_t tag, const char *problem, const receiver_string_t *said) {
  char message[TEXT + URL];
  snprintf(message, sizeof message, "/api/orders: %s%.*s", problem, said ? (int)said->len : 0, said ? (const char *)said->ptr : "");
  error->tag = tag;
  receiver_string_dup(&error->val.failed, message);
  return false;
}

#define UNAUTHORIZED KILN_PLUGIN_COLLECTION_COLLECT_ERROR_UNAUTHORIZED
#define UNAVAILABLE KILN_PLUGIN_COLLECTION_COLLECT_ERROR_UNAVAILABLE
#define INVALID_DATA KILN_PLUGIN_COLLECTION_COLLECT_ERROR_INVALID_DATA
#define FAILED KILN_PLUGIN_COLLECTION_COLLECT_ERROR_FAILED

// It satisfies the schema of plugin.toml, with defaults filled in and the token left out.
bool exports_receiver_configure(receiver_string_t *config, receiver_config_error_t *error) {
  struct json json = json_of(config->ptr, config->len);
  char key[TEXT];
  for (bool first = true; json_next(&json, '{', &first);) {
    json_key(&json, key, sizeof key);
    if (strcmp(key, "host") == 0) json_text(&json, host, sizeof host / 2);
    else if (strcmp(key, "page_size") == 0) page_size = (uint32_t)json_number(&json);
    else json_skip(&json);
  }
  bool understood = json_end(&json);
  receiver_string_free(config);
  for (size_t length = strlen(host); length > 0 && host[length - 1] == '/';) host[--length] = 0;
  if (understood) return true;
  receiver_string_dup(&error->field, "/host");
  receiver_string_dup(&error->message, "is too long");
  return false;
}

static bool record(struct progress *progress, const char *status, double seconds) {
  uint32_t index = 0;
  while (index < progress->statuses && strcmp(progress->counts[index].status, status) != 0) index++;
  if (index == STATUSES) return false;
  if (index == progress->statuses) {
    progress->statuses++;
    snprintf(progress->counts[index].status, TEXT, "%s", status);
  }
  progress->counts[index].orders++;
  size_t bucket = 0;
  while (bucket < BOUNDS && seconds > bounds[bucket]) bucket++;
  progress->buckets[bucket]++;
  progress->seconds += seconds;
  return true;
}

struct page {
  bool more;
  int64_t open;
};

// One order. False if there are more statuses than anybody has use for.
static bool read_order(struct json *json, struct progress *progress) {
  char key[TEXT], status[TEXT] = "";
  double seconds = -1;
  for (bool first = true; json_next(json, '{', &first);) {
    json_key(json, key, sizeof key);
    if (strcmp(key, "status") == 0) json_text(json, status, sizeof status);
    else if (strcmp(key, "seconds") == 0) seconds = json_number(json);
    else json_skip(json);
  }
  if (*status == 0 || seconds < 0) json->broken = true;
  return json->broken || record(progress, status, seconds);
}

static bool read_page(const receiver_list_u8_t *body, struct progress *progress, struct page *page, receiver_collect_error_t *error) {
  struct json json = json_of(body->ptr, body->len);
  char key[TEXT];
  bool whole = false;
  for (bool first = true; json_next(&json, '{', &first);) {
    json_key(&json, key, sizeof key);
    if (strcmp(key, "orders") == 0) {
      for (bool order = true; json_next(&json, '[', &order);)
        if (!read_order(&json, progress)) return fail(error, INVALID_DATA, "more different statuses than are counted", NULL);
    } else if (strcmp(key, "cursor") == 0) {
      whole = json_text(&json, progress->cursor, sizeof progress->cursor) > 0;
    } else if (strcmp(key, "more") == 0) {
      page->more = json_boolean(&json);
    } else if (strcmp(key, "open") == 0) {
      page->open = (int64_t)json_number(&json);
    } else {
      json_skip(&json);
    }
  }
  return (json_end(&json) && whole) || fail(error, INVALID_DATA, "not a page of orders", NULL);
}

static bool no_answer(kiln_plugin_http_error_t *said, receiver_collect_error_t *error) {
  bool failed;
  switch (said->tag) {
    case KILN_PLUGIN_HTTP_ERROR_DENIED: failed = fail(error, FAILED, "not sent: ", &said->val.denied); break;
    case KILN_PLUGIN_HTTP_ERROR_INVALID_REQUEST: failed = fail(error, FAILED, "not sent: ", &said->val.invalid_request); break;
    case KILN_PLUGIN_HTTP_ERROR_TOO_LARGE: failed = fail(error, FAILED, "the answer is too large", NULL); break;
    case KILN_PLUGIN_HTTP_ERROR_CONNECT: failed = fail(error, UNAVAILABLE, "cannot connect: ", &said->val.connect); break;
    case KILN_PLUGIN_HTTP_ERROR_TLS: failed = fail(error, UNAVAILABLE, "no secure connection: ", &said->val.tls); break;
    case KILN_PLUGIN_HTTP_ERROR_PROTOCOL: failed = fail(error, UNAVAILABLE, "the connection broke: ", &said->val.protocol); break;
    default: failed = fail(error, UNAVAILABLE, "no answer in time", NULL); break;
  }
  kiln_plugin_http_error_free(said);
  return failed;
}

static void append_encoded(char *url, size_t size, const char *text) {
  static const char digits[] = "0123456789ABCDEF";
  size_t length = strlen(url);
  for (; *text != 0 && length + 4 < size; text++) {
    uint8_t c = (uint8_t)*text;
    if ((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z')) url[length++] = (char)c;
    else url[length++] = '%', url[length++] = digits[c >> 4], url[length++] = digits[c & 15];
  }
  url[length] = 0;
}

static bool fetch_page(struct progress *progress, struct page *page, receiver_collect_error_t *error) {
  char url[URL + 4 * TEXT];
  bool resumed = progress->cursor[0] != 0;
  snprintf(url, sizeof url, "%s/api/orders?limit=%u%s", host, page_size, resumed ? "&after=" : "");
  append_encoded(url, sizeof url, progress->cursor);
  kiln_plugin_http_request_t request = {.method = KILN_PLUGIN_HTTP_METHOD_GET, .url = borrowed(url)};
  kiln_plugin_http_response_t response;
  kiln_plugin_http_error_t said;
  if (!kiln_plugin_http_send(&request, &response, &said)) return no_answer(&said, error);
  uint16_t status = response.status;
  bool read = status == 200 && read_page(&response.body, progress, page, error);
  kiln_plugin_http_response_free(&response);
  if (status == 200) return read;
  char problem[TEXT];
  snprintf(problem, sizeof problem, "status %u", status);
  bool later = status == 429 || status >= 500;
  return fail(error, status == 401 || status == 403 ? UNAUTHORIZED : later ? UNAVAILABLE : INVALID_DATA, problem, NULL);
}

static const char STATE_KEY[] = "progress";

static bool state_failed(kiln_plugin_state_error_t *said, receiver_collect_error_t *error) {
  fail(error, FAILED, "state: ", &said->val.full);
  kiln_plugin_state_error_free(said);
  return false;
}

static bool load(struct progress *progress, receiver_collect_error_t *error) {
  receiver_string_t key = borrowed(STATE_KEY);
  receiver_option_list_u8_t stored;
  kiln_plugin_state_error_t said;
  if (!kiln_plugin_state_get(&key, &stored, &said)) return state_failed(&said, error);
  *progress = (struct progress){.version = VERSION};
  if (!stored.is_some) {
    progress->start = kiln_plugin_clock_now();
    return true;
  }
  bool known = stored.val.len == sizeof *progress;
  if (known) memcpy(progress, stored.val.ptr, sizeof *progress);
  receiver_option_list_u8_free(&stored);
  return (known && progress->version == VERSION) || fail(error, FAILED, "the state is of another version of the plugin", NULL);
}

static bool save(const struct progress *progress, receiver_collect_error_t *error) {
  receiver_string_t key = borrowed(STATE_KEY);
  receiver_list_u8_t value = {.ptr = (uint8_t *)progress, .len = sizeof *progress};
  kiln_plugin_state_error_t said;
  return kiln_plugin_state_set(&key, &value, &said) || state_failed(&said, error);
}

static kiln_plugin_telemetry_attribute_t text(const char *key, const char *value) {
  return (kiln_plugin_telemetry_attribute_t){
    .key = borrowed(key),
    .value = {.tag = KILN_PLUGIN_TELEMETRY_ATTRIBUTE_VALUE_TEXT, .val.text = borrowed(value)},
  };
}

static kiln_plugin_telemetry_number_point_t integer(int64_t value, uint64_t start) {
  return (kiln_plugin_telemetry_number_point_t){
    .start_time = start, // A time of 0: the host knows.
    .value = {.is_some = true, .val = {.tag = KILN_PLUGIN_TELEMETRY_NUMBER_INTEGER, .val.integer = value}},
  };
}

static kiln_plugin_telemetry_metric_t metric(const char *name, const char *description, const char *unit) {
  return (kiln_plugin_telemetry_metric_t){.name = borrowed(name), .description = borrowed(description), .unit = borrowed(unit)};
}

static bool emit(const struct progress *progress, int64_t waiting, receiver_collect_error_t *error) {
  kiln_plugin_telemetry_number_point_t open = integer(waiting, 0), counts[STATUSES];
  kiln_plugin_telemetry_attribute_t statuses[STATUSES];
  for (uint32_t i = 0; i < progress->statuses; i++) {
    statuses[i] = text("status", progress->counts[i].status);
    counts[i] = integer(progress->counts[i].orders, progress->start);
    counts[i].attributes = (kiln_plugin_telemetry_list_attribute_t){.ptr = &statuses[i], .len = 1};
  }
  kiln_plugin_telemetry_histogram_point_t duration = {
    .start_time = progress->start,
    .sum = {.is_some = true, .val = progress->seconds},
    .bounds = {.ptr = bounds, .len = BOUNDS},
    .bucket_counts = {.ptr = (uint64_t *)progress->buckets, .len = BOUNDS + 1},
  };
  for (size_t i = 0; i <= BOUNDS; i++) duration.count += progress->buckets[i];

  kiln_plugin_telemetry_metric_t metrics[] = {
    metric("shop.orders.open", "orders that wait to be handled", "{order}"),
    metric("shop.orders.count", "orders handled", "{order}"),
    metric("shop.order.duration", "time from an order to its end", "s"),
  };
  metrics[0].data.tag = KILN_PLUGIN_TELEMETRY_METRIC_DATA_GAUGE;
  metrics[0].data.val.gauge = (kiln_plugin_telemetry_list_number_point_t){.ptr = &open, .len = 1};
  metrics[1].data.tag = KILN_PLUGIN_TELEMETRY_METRIC_DATA_SUM;
  metrics[1].data.val.sum = (kiln_plugin_telemetry_sum_t){
    .temporality = KILN_PLUGIN_TELEMETRY_TEMPORALITY_CUMULATIVE,
    .monotonic = true,
    .points = {.ptr = counts, .len = progress->statuses},
  };
  metrics[2].data.tag = KILN_PLUGIN_TELEMETRY_METRIC_DATA_HISTOGRAM;
  metrics[2].data.val.histogram = (kiln_plugin_telemetry_histogram_t){
    .temporality = KILN_PLUGIN_TELEMETRY_TEMPORALITY_CUMULATIVE,
    .points = {.ptr = &duration, .len = 1},
  };
  kiln_plugin_telemetry_attribute_t shop = text("shop.host", host);
  kiln_plugin_telemetry_resource_metrics_t batch = {
    .resource.attributes = {.ptr = &shop, .len = 1},
    .scope = {.name = borrowed("orders-c"), .version = borrowed("0.1.0")},
    .metrics = {.ptr = metrics, .len = sizeof metrics / sizeof *metrics},
  };
  kiln_plugin_emit_list_resource_metrics_t batches = {.ptr = &batch, .len = 1};
  kiln_plugin_emit_emit_error_t said;
  if (kiln_plugin_emit_metrics(&batches, &said)) return true;
  fail(error, FAILED, "the host refuses the telemetry: ", &said.val.invalid);
  kiln_plugin_emit_emit_error_free(&said);
  return false;
}

bool exports_receiver_collect(receiver_outcome_t *outcome, receiver_collect_error_t *error) {
  static struct progress progress;
  struct page page = {.more = true};
  if (!load(&progress, error)) return false;
  for (int read = 0; read < PAGES && page.more; read++) {
    page = (struct page){0};
    if (!fetch_page(&progress, &page, error)) return false;
  }
  if (!emit(&progress, page.open, error) || !save(&progress, error)) return false;
  *outcome = (receiver_outcome_t){.more = page.more};
  return true;
}
