// Reads JSON from memory, front to back, without allocating. What is broken is reported once, at the end: after the first
// mistake every reader returns at once, and loops over what follows do not run.

#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
  const uint8_t *at, *end;
  bool broken;
};

struct json json_of(const uint8_t *text, size_t length);

// for (bool first = true; json_next(&json, '{', &first);): once per member of an object, or with '[' per item of a list.
bool json_next(struct json *json, char open, bool *first);

// Decodes a string into `out` and ends it with 0; one that does not fit is broken. Returns its length.
size_t json_text(struct json *json, char *out, size_t size);

// The key of a member, and the colon after it.
void json_key(struct json *json, char *out, size_t size);

double json_number(struct json *json);
bool json_boolean(struct json *json);
void json_skip(struct json *json);

// Whether all of it was read and none of it was broken.
bool json_end(struct json *json);

#endif
