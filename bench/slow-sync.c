/*
 * A disk that syncs in a known time: where nothing else does, with the journal in memory. Linux with glibc.
 *
 *   cc -O2 -shared -fPIC -o /tmp/slow-sync.so bench/slow-sync.c
 *   SYNC_US=150 LD_PRELOAD=/tmp/slow-sync.so npm run bench:journal-alone -- --folder /dev/shm
 *
 * Each write to a file that was opened with O_DSYNC comes back SYNC_US microseconds later, in the thread that wrote it, as
 * with a disk. Waking up takes some 50 us more: 150 make a write of 0.20 ms.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static void nap(void) {
  const char *text = getenv("SYNC_US");
  struct timespec until;
  prctl(PR_SET_TIMERSLACK, 1);
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += (text ? atol(text) : 150) * 1000;
  until.tv_sec += until.tv_nsec / 1000000000;
  until.tv_nsec %= 1000000000;
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

ssize_t write(int file, const void *bytes, size_t count) {
  static ssize_t (*real)(int, const void *, size_t);
  if (!real) real = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  ssize_t written = real(file, bytes, count);
  int flags = fcntl(file, F_GETFL);
  if (flags != -1 && (flags & O_DSYNC)) nap();
  return written;
}
