/* A name server under an attacker's control, put between Kiln and the C library with LD_PRELOAD.
 *
 * KILN_HOSTILE_NAMES is a file of lines `NAME ANSWER ANSWER...`. The first look-up of a name gets the first answer, the
 * second the second, and so on; the last answer stays. An answer is a list of addresses with commas between them.
 * Every look-up of such a name is a byte in the file KILN_HOSTILE_LOOKUPS.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int (*lookup)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

#define NAMES 16
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static char asked_name[NAMES][256];
static int asked[NAMES];

static int times_asked(const char *name) {
  int times = 0;
  pthread_mutex_lock(&guard);
  for (int i = 0; i < NAMES; i++) {
    if (asked_name[i][0] == 0) snprintf(asked_name[i], sizeof asked_name[i], "%s", name);
    if (strcmp(asked_name[i], name) == 0) {
      times = asked[i]++;
      break;
    }
  }
  pthread_mutex_unlock(&guard);
  return times;
}

/* The answer whose turn it is, or 0 if nobody lies about this name. */
static int answer_to(const char *name, char *answer, size_t size) {
  const char *path = getenv("KILN_HOSTILE_NAMES"), *log = getenv("KILN_HOSTILE_LOOKUPS");
  char line[4096], *rest, *word;
  int found = 0;
  FILE *file = path && name ? fopen(path, "r") : NULL;
  if (!file) return 0;
  while (!found && fgets(line, sizeof line, file)) {
    word = strtok_r(line, " \n", &rest);
    if (!word || strcmp(word, name) != 0) continue;
    int left = times_asked(name);
    while ((word = strtok_r(NULL, " \n", &rest))) {
      snprintf(answer, size, "%s", word);
      found = 1;
      if (left-- == 0) break;
    }
  }
  fclose(file);
  FILE *lookups = found && log ? fopen(log, "a") : NULL;
  if (lookups) {
    fputc('.', lookups);
    fclose(lookups);
  }
  return found;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result) {
  lookup real = (lookup)dlsym(RTLD_NEXT, "getaddrinfo");
  char answer[4096], *rest, *address;
  if (!answer_to(node, answer, sizeof answer)) return real(node, service, hints, result);
  struct addrinfo **end = result;
  int status = EAI_NONAME;
  *result = NULL;
  for (address = strtok_r(answer, ",", &rest); address; address = strtok_r(NULL, ",", &rest)) {
    /* Made by the C library, so that its own freeaddrinfo frees them. */
    if (real(address, service, hints, end) != 0) continue;
    status = 0;
    while (*end) end = &(*end)->ai_next;
  }
  return status;
}
