#include "json.h"

#include <stdlib.h>
#include <string.h>

// Deeper than any answer this reads; an attacker's brackets must not use up the stack.
#define DEPTH 32

struct json json_of(const uint8_t *text, size_t length) {
  return (struct json){.at = text, .end = text + length, .broken = false};
}

static void space(struct json *json) {
  while (json->at < json->end && (*json->at == ' ' || *json->at == '\t' || *json->at == '\n' || *json->at == '\r')) json->at++;
}

static bool take(struct json *json, char expected) {
  space(json);
  if (json->broken || json->at == json->end || *json->at != (uint8_t)expected) return false;
  json->at++;
  return true;
}

static bool fail(struct json *json) {
  json->broken = true;
  return false;
}

static void want(struct json *json, char expected) {
  if (!take(json, expected)) fail(json);
}

bool json_next(struct json *json, char open, bool *first) {
  char close = open == '{' ? '}' : ']';
  if (json->broken) return false;
  if (*first) {
    *first = false;
    if (!take(json, open)) return fail(json);
    return !take(json, close);
  }
  if (take(json, close)) return false;
  return take(json, ',') ? true : fail(json);
}

static int hexadecimal(struct json *json) {
  int value = 0;
  for (int digit = 0; digit < 4; digit++, json->at++) {
    if (json->at == json->end) return -1;
    uint8_t c = *json->at;
    if (c >= '0' && c <= '9') value = value * 16 + c - '0';
    else if ((c | 32) >= 'a' && (c | 32) <= 'f') value = value * 16 + (c | 32) - 'a' + 10;
    else return -1;
  }
  return value;
}

// The character after \u, of which those beyond 16 bits are two.
static long escaped(struct json *json) {
  long high = hexadecimal(json);
  if (high < 0xD800 || high > 0xDFFF) return high;
  if (high > 0xDBFF || json->end - json->at < 2 || json->at[0] != '\\' || json->at[1] != 'u') return -1;
  json->at += 2;
  long low = hexadecimal(json);
  return low < 0xDC00 || low > 0xDFFF ? -1 : 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}

static size_t utf8(long code, uint8_t bytes[4]) {
  if (code < 0x80) return bytes[0] = (uint8_t)code, 1;
  if (code < 0x800) return bytes[0] = 0xC0 | code >> 6, bytes[1] = 0x80 | (code & 63), 2;
  if (code < 0x10000) return bytes[0] = 0xE0 | code >> 12, bytes[1] = 0x80 | (code >> 6 & 63), bytes[2] = 0x80 | (code & 63), 3;
  bytes[0] = 0xF0 | code >> 18, bytes[1] = 0x80 | (code >> 12 & 63), bytes[2] = 0x80 | (code >> 6 & 63), bytes[3] = 0x80 | (code & 63);
  return 4;
}

// The next character of a string as UTF-8: how many bytes, 0 at the closing quote or if it is broken.
static size_t character(struct json *json, uint8_t bytes[4]) {
  if (json->at == json->end || *json->at < 0x20) return fail(json);
  uint8_t c = *json->at++;
  if (c == '"') return 0;
  if (c != '\\') return bytes[0] = c, 1;
  if (json->at == json->end) return fail(json);
  c = *json->at++;
  if (c == 'u') {
    long code = escaped(json);
    return code < 0 ? fail(json) : utf8(code, bytes);
  }
  static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
  const char *name = memchr(names, c, sizeof names - 1);
  return name == NULL ? fail(json) : (bytes[0] = (uint8_t)meanings[name - names], 1);
}

size_t json_text(struct json *json, char *out, size_t size) {
  size_t length = 0, taken;
  uint8_t bytes[4];
  want(json, '"');
  while (!json->broken && (taken = character(json, bytes)) > 0) {
    // NULL: nobody wants to know.
    if (out == NULL) continue;
    if (length + taken >= size) fail(json);
    else memcpy(out + length, bytes, taken), length += taken;
  }
  if (out != NULL) out[length] = 0;
  return length;
}

void json_key(struct json *json, char *out, size_t size) {
  json_text(json, out, size);
  want(json, ':');
}

double json_number(struct json *json) {
  char digits[32];
  size_t length = 0;
  space(json);
  while (json->at < json->end && length < sizeof digits - 1 && strchr("+-.0123456789eE", *json->at) != NULL && *json->at != 0)
    digits[length++] = (char)*json->at++;
  digits[length] = 0;
  char *end;
  double value = strtod(digits, &end);
  if (length == 0 || *end != 0) fail(json);
  return json->broken ? 0 : value;
}

static bool word(struct json *json, const char *expected) {
  size_t length = strlen(expected);
  space(json);
  if ((size_t)(json->end - json->at) < length || memcmp(json->at, expected, length) != 0) return false;
  json->at += length;
  return true;
}

bool json_boolean(struct json *json) {
  if (word(json, "true")) return true;
  return word(json, "false") ? false : fail(json);
}

static void skip(struct json *json, int depth) {
  space(json);
  if (json->broken || json->at == json->end || depth == 0) {
    fail(json);
  } else if (*json->at == '"') {
    json_text(json, NULL, 0);
  } else if (*json->at == '{' || *json->at == '[') {
    char open = (char)*json->at;
    for (bool first = true; json_next(json, open, &first);) {
      if (open == '{') json_key(json, NULL, 0);
      skip(json, depth - 1);
    }
  } else if (!word(json, "null") && !word(json, "true") && !word(json, "false")) {
    json_number(json);
  }
}

void json_skip(struct json *json) { skip(json, DEPTH); }

bool json_end(struct json *json) {
  space(json);
  return !json->broken && json->at == json->end;
}
