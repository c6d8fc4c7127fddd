/* Logs what a process writes and syncs, so that a power cut at any moment can be played back.
 *
 * cc -shared -fPIC -O1 -o powercut.so powercut.c -ldl
 * LD_PRELOAD=./powercut.so POWERCUT_LOG=log POWERCUT_MATCH=store.db program
 *
 * One record an operation: kind (1 byte: W write, T truncate, S sync, U unlink), length of the path (u32), path,
 * offset (u64), length of the data (u64), data. A lock is held over operation and record, so the log has the order in
 * which things happened; a sync is logged when it is done.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static const char *match;

__attribute__((constructor)) static void start(void) {
    const char *name = getenv("POWERCUT_LOG");
    match = getenv("POWERCUT_MATCH");
    if (name && match) log_fd = syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void put(const void *data, size_t n) {
    const char *at = data;
    while (n > 0) {
        ssize_t done = syscall(SYS_write, log_fd, at, n);
        if (done <= 0) abort();
        at += done;
        n -= done;
    }
}

static int path_of(int fd, char *path) {
    char link[64] = "/proc/self/fd/", digits[16];
    int i = 0, n = fd;
    if (log_fd < 0 || fd < 0) return 0;
    do { digits[i++] = '0' + n % 10; n /= 10; } while (n);
    char *end = link + strlen(link);
    while (i) *end++ = digits[--i];
    *end = 0;
    ssize_t got = readlink(link, path, 4095);
    if (got <= 0) return 0;
    path[got] = 0;
    return strstr(path, match) != NULL;
}

static void record(char kind, const char *path, uint64_t offset, const void *data, uint64_t n) {
    uint32_t length = strlen(path);
    put(&kind, 1);
    put(&length, 4);
    put(path, length);
    put(&offset, 8);
    put(&n, 8);
    if (data) put(data, n);
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name)

static ssize_t write_at(ssize_t (*real)(int, const void *, size_t, off_t), int fd, const void *b, size_t n, off_t at) {
    char path[4096];
    if (!path_of(fd, path)) return real(fd, b, n, at);
    pthread_mutex_lock(&lock);
    ssize_t done = real(fd, b, n, at);
    if (done > 0) record('W', path, at, b, done);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwrite(int fd, const void *b, size_t n, off_t at) { REAL(pwrite); return write_at(real, fd, b, n, at); }
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t at) { REAL(pwrite64); return write_at(real, fd, b, n, at); }

static int synced(int (*real)(int), int fd) {
    char path[4096];
    if (!path_of(fd, path)) return real(fd);
    pthread_mutex_lock(&lock);
    int done = real(fd);
    if (done == 0) record('S', path, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int fsync(int fd) { REAL(fsync); return synced(real, fd); }
int fdatasync(int fd) { REAL(fdatasync); return synced(real, fd); }

static int cut(int (*real)(int, off_t), int fd, off_t length) {
    char path[4096];
    if (!path_of(fd, path)) return real(fd, length);
    pthread_mutex_lock(&lock);
    int done = real(fd, length);
    if (done == 0) record('T', path, length, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate(int fd, off_t length) { REAL(ftruncate); return cut(real, fd, length); }
int ftruncate64(int fd, off64_t length) { REAL(ftruncate64); return cut(real, fd, length); }

int unlink(const char *path) {
    REAL(unlink);
    if (log_fd < 0 || !strstr(path, match)) return real(path);
    pthread_mutex_lock(&lock);
    int done = real(path);
    if (done == 0) record('U', path, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}
