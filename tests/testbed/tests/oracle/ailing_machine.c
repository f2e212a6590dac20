/* A machine that is not well, put between Kiln and the C library with LD_PRELOAD.
 *
 * KILN_MACHINE is a file of three 64-bit numbers that the test writes while Kiln runs:
 *
 *   0  nanoseconds by which the clock is ahead
 *   1  bytes for which there is room on the disk; negative: no end of it
 *   2  writes and syncs of files until the process is killed, half-way through the last; negative: never
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { CLOCK, ROOM, LIFE, NUMBERS };

static int64_t *machine;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("KILN_MACHINE");
  int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *mapped = mmap(NULL, NUMBERS * sizeof *machine, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (mapped != MAP_FAILED) machine = mapped;
  close(file);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int status = real(clock, time);
  if (status == 0 && machine && clock == CLOCK_REALTIME) {
    int64_t nanoseconds = time->tv_nsec + __atomic_load_n(&machine[CLOCK], __ATOMIC_SEQ_CST) % 1000000000;
    time->tv_sec += __atomic_load_n(&machine[CLOCK], __ATOMIC_SEQ_CST) / 1000000000;
    if (nanoseconds < 0) time->tv_sec--, nanoseconds += 1000000000;
    if (nanoseconds >= 1000000000) time->tv_sec++, nanoseconds -= 1000000000;
    time->tv_nsec = nanoseconds;
  }
  return status;
}

/* Not what is printed, and not a socket. */
static int is_file(int file) {
  struct stat about;
  return machine && file > STDERR_FILENO && fstat(file, &about) == 0 && S_ISREG(about.st_mode);
}

/* Whether this is the last thing the process does. */
static int is_last(void) {
  return __atomic_load_n(&machine[LIFE], __ATOMIC_SEQ_CST) >= 0 &&
         __atomic_fetch_sub(&machine[LIFE], 1, __ATOMIC_SEQ_CST) <= 0;
}

static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

/* How many of these bytes there is room for. */
static size_t room_for(size_t size) {
  int64_t room = __atomic_load_n(&machine[ROOM], __ATOMIC_SEQ_CST);
  size_t fits;
  do {
    if (room < 0) return size;
    fits = (uint64_t)room < size ? (size_t)room : size;
  } while (!__atomic_compare_exchange_n(&machine[ROOM], &room, room - (int64_t)fits, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
  return fits;
}

#define WRITE(name, parameters, ...)                                                                                   \
  ssize_t name parameters {                                                                                            \
    static ssize_t(*real) parameters;                                                                                  \
    if (!real) real = (ssize_t(*) parameters)dlsym(RTLD_NEXT, #name);                                                  \
    if (!is_file(file)) return real(__VA_ARGS__);                                                                      \
    if (is_last()) {                                                                                                   \
      size /= 2;                                                                                                       \
      (void)!real(__VA_ARGS__);                                                                                        \
      die();                                                                                                           \
    }                                                                                                                  \
    size_t fits = room_for(size);                                                                                      \
    if (fits == 0 && size > 0) return errno = ENOSPC, -1;                                                              \
    size = fits;                                                                                                       \
    return real(__VA_ARGS__);                                                                                          \
  }

WRITE(write, (int file, const void *bytes, size_t size), file, bytes, size)
WRITE(pwrite, (int file, const void *bytes, size_t size, off_t at), file, bytes, size, at)
WRITE(pwrite64, (int file, const void *bytes, size_t size, off64_t at), file, bytes, size, at)

#define SYNC(name)                                                                                                     \
  int name(int file) {                                                                                                 \
    static int (*real)(int);                                                                                           \
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, #name);                                                           \
    if (machine && is_last()) die();                                                                                   \
    return real(file);                                                                                                 \
  }

SYNC(fsync)
SYNC(fdatasync)
