#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST = 12 };

static struct {
    char path[PATH_MAX];
    struct reason reason;
} tried[MOST];
static int count;

/* What a caller may have set that keeps us from unpacking: the program has it again. */
static struct {
    mode_t umask;
    struct sigaction too_long;
} before_us;

static void become_able_to_unpack(void) {
    struct sigaction ignore = {.sa_handler = SIG_IGN}; /* past `ulimit -f`, write fails then, with EFBIG */
    before_us.umask = umask(077);
    sigaction(SIGXFSZ, &ignore, &before_us.too_long);
}

static const char *absolute(const char *variable) {
    const char *value = getenv(variable);
    return value != NULL && value[0] == '/' ? value : NULL;
}

/* `base` must be ours already: with sudo, HOME may be another user's. */
static int try_cache(const char *base, const char *below) {
    if (base == NULL || count == MOST)
        return -1;
    struct reason *reason = &tried[count].reason;
    char *path = tried[count].path;
    snprintf(path, PATH_MAX, "%.2048s", base);
    count++;
    for (const char *part = below; part != NULL;) {
        const char *end = strchr(part, '/');
        int parent = own_folder(path, false, reason);
        if (parent < 0)
            return -1;
        close(parent);
        snprintf(path + strlen(path), PATH_MAX - strlen(path), "/%.*s", end ? (int)(end - part) : 255, part);
        part = end ? end + 1 : NULL;
    }
    return cached_build(path, reason);
}

static int try_temporary(const char *base) {
    static char path[PATH_MAX];
    if (base == NULL || count == MOST)
        return -1;
    snprintf(tried[count].path, PATH_MAX, "%.2048s", base);
    int folder = temporary_build(base, path, sizeof path, &tried[count].reason);
    if (folder < 0) {
        count++;
        return -1;
    }
    fprintf(stderr, PROGRAM ": unpacked into %s for this run only, since nothing can be kept:\n", path);
    for (int i = 0; i < count; i++)
        fprintf(stderr, "  %s: %s\n", tried[i].path, tried[i].reason.text);
    fprintf(stderr, "  GANGLION_CACHE_DIR names a folder of yours that may keep it\n");
    snprintf(tried[count++].path, PATH_MAX, "%s", path);
    return folder;
}

static void become_program(int folder, char **arguments) {
    static char itself[PATH_MAX], program[PATH_MAX];
    const char *named = (const char *)getauxval(AT_EXECFN);
    ssize_t length = readlink("/proc/self/exe", itself, sizeof itself - 1); /* not there without /proc */
    if (length <= 0 && (named == NULL || realpath(named, itself) == NULL))
        snprintf(itself, sizeof itself, "%s", arguments[0]);
    snprintf(program, sizeof program, "%s/" PROGRAM, tried[count - 1].path);
    setenv("GANGLION_EXECUTABLE", itself, 1);
    /* The program's first libraries are found there too, where the machine has none. entry.py takes it away. */
    static char libraries[2 * PATH_MAX];
    const char *before = getenv("LD_LIBRARY_PATH");
    snprintf(libraries, sizeof libraries, "%s/_internal%s%.*s", tried[count - 1].path, before ? ":" : "", PATH_MAX - 20,
             before ? before : "");
    setenv("LD_LIBRARY_PATH", libraries, 1);
    arguments[0] = program;
    (void)folder; /* inherited: it holds the lock */
    umask(before_us.umask);
    sigaction(SIGXFSZ, &before_us.too_long, NULL);
    execv(program, arguments);
    const char *why = errno == ENOENT && access(program, X_OK) == 0
                          ? "this machine has no glibc, which it needs (Alpine and OpenWrt have musl instead)"
                          : strerror(errno);
    fprintf(stderr, PROGRAM ": %s can't be executed: %s\n", program, why);
    _exit(126);
}

/* Where a starter closed them: what the program opens first would be taken for them, and written to. */
static void open_standard_streams(void) {
    int stream;
    while ((stream = open("/dev/null", O_RDWR)) >= 0 && stream <= STDERR_FILENO)
        ;
    if (stream >= 0)
        close(stream);
}

int main(int number, char **arguments) {
    (void)number;
    open_standard_streams();
    become_able_to_unpack();
    int folder = try_cache(absolute("GANGLION_CACHE_DIR"), NULL);
    if (folder < 0)
        folder = try_cache(absolute("CACHE_DIRECTORY"), "executable");
    if (folder < 0)
        folder = try_cache(absolute("XDG_CACHE_HOME"), "ganglion/executable");
    if (folder < 0 && absolute("XDG_CACHE_HOME") == NULL)
        folder = try_cache(absolute("HOME"), ".cache/ganglion/executable");
    if (folder < 0 && geteuid() == 0)
        folder = try_cache("/var/cache", "ganglion/executable");
    if (folder >= 0) {
        snprintf(tried[count - 1].path + strlen(tried[count - 1].path), 64, "/" BUILD);
        become_program(folder, arguments);
    }
    const char *places[] = {absolute("TMPDIR"), "/tmp", "/var/tmp", "/dev/shm", absolute("XDG_RUNTIME_DIR")};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        folder = try_temporary(places[i]);
        if (folder >= 0)
            become_program(folder, arguments);
    }
    fprintf(stderr, PROGRAM ": there is no place to unpack into (%zu MB are needed):\n", (size_t)UNPACKED_MEGABYTES);
    for (int i = 0; i < count; i++)
        fprintf(stderr, "  %s: %s\n", tried[i].path, tried[i].reason.text);
    fprintf(stderr, "  make room there, or name a folder of yours with GANGLION_CACHE_DIR\n");
    return 1;
}
