/* A disk that refuses: loaded before the C library (LD_PRELOAD), it lets chosen writes below one folder fail,
 * or has the process die just before them. Whatever changes the disk counts: write, fsync, truncate, rename, link,
 * unlink, mkdir, and opening a file to create it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[PATH_MAX];
static size_t length;
static atomic_long done;
static long first = -1, last = -1;
static int error;

/* Writes number `from` to `to`, from 1, fail with `code`, or kill the process where it is 0. */
void refuse(const char *below, long from, long to, int code)
{
    strncpy(folder, below, sizeof folder - 1);
    length = strlen(folder);
    first = from;
    last = to;
    error = code;
    atomic_store(&done, 0);
}

long refused_count(void) { return atomic_load(&done); }

static int concerns(const char *path)
{
    char here[PATH_MAX];
    if (!length || !path) return 0;
    if (path[0] == '/') return !strncmp(path, folder, length);
    return getcwd(here, sizeof here) && !strncmp(here, folder, length);
}

static int concerns_fd(int fd)
{
    char link[64], path[PATH_MAX];
    ssize_t size;
    if (!length) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    size = readlink(link, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return concerns(path);
}

static int fails(void)
{
    long now = atomic_fetch_add(&done, 1) + 1;
    if (first < 0 || now < first || now > last) return 0;
    if (!error) kill(getpid(), SIGKILL);
    errno = error;
    return 1;
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

#define OF_FD(type, name, signature, call, ...) \
    type name signature { REAL(type, name, __VA_ARGS__); return concerns_fd(fd) && fails() ? -1 : real call; }
#define OF_PATH(type, name, signature, call, ...) \
    type name signature { REAL(type, name, __VA_ARGS__); return concerns(path) && fails() ? -1 : real call; }

OF_FD(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size), int, const void *, size_t)
OF_FD(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at),
      int, const void *, size_t, off_t)
OF_FD(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at),
      int, const void *, size_t, off64_t)
OF_FD(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count),
      int, const struct iovec *, int)
OF_FD(int, fsync, (int fd), (fd), int)
OF_FD(int, fdatasync, (int fd), (fd), int)
OF_FD(int, ftruncate, (int fd, off_t size), (fd, size), int, off_t)
OF_FD(int, ftruncate64, (int fd, off64_t size), (fd, size), int, off64_t)
OF_PATH(int, rename, (const char *path, const char *to), (path, to), const char *, const char *)
OF_PATH(int, link, (const char *path, const char *to), (path, to), const char *, const char *)
OF_PATH(int, unlink, (const char *path), (path), const char *)
OF_PATH(int, mkdir, (const char *path, mode_t mode), (path, mode), const char *, mode_t)

#define OPENS(name) \
    int name(const char *path, int flags, ...) { \
        mode_t mode = 0; \
        REAL(int, name, const char *, int, ...); \
        if (flags & (O_CREAT | O_TMPFILE)) { \
            va_list more; \
            va_start(more, flags); \
            mode = va_arg(more, mode_t); \
            va_end(more); \
        } \
        if ((flags & O_CREAT) && access(path, F_OK) && concerns(path) && fails()) return -1; \
        return real(path, flags, mode); \
    }
OPENS(open)
OPENS(open64)
