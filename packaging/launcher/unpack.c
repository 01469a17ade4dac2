#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

enum { BLOCK = 512 };

struct header { /* ustar: numbers are octal digits */
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6], version[2],
        user[32], group[32], major[8], minor[8], prefix[155], padding[12];
};

struct source {
    ZSTD_DCtx *context;
    ZSTD_inBuffer packed;
    size_t left; /* what zstd still expects: 0 at the end of the frame, whose checksum was right then */
};

/* Exactly `size` bytes more of the archive. */
static bool take(struct source *source, void *into, size_t size, struct reason *reason) {
    ZSTD_outBuffer out = {into, size, 0};
    while (out.pos < size) {
        size_t before = out.pos, read = source->packed.pos;
        source->left = ZSTD_decompressStream(source->context, &out, &source->packed);
        bool stuck = out.pos == before && source->packed.pos == read;
        if (ZSTD_isError(source->left) || stuck) {
            const char *what = stuck ? "cut off" : ZSTD_getErrorName(source->left);
            snprintf(reason->text, sizeof reason->text, "the executable is damaged (%s): download it again", what);
            return false;
        }
    }
    return true;
}

static bool refuse_contents(struct reason *reason) {
    return refuse(reason, errno == EFBIG ? "files may not get as long as ours (ulimit -f)" : "no room to unpack there");
}

static bool write_file(struct source *source, int folder, const char *name, size_t size, mode_t mode, char *buffer,
                       size_t buffer_size, struct reason *reason) {
    int file = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (file < 0)
        return refuse(reason, "a file can't be made there");
    size_t padded = (size + BLOCK - 1) / BLOCK * BLOCK;
    bool good = true;
    while (padded > 0 && good) {
        size_t part = padded < buffer_size ? padded : buffer_size, data = part < size ? part : size;
        good = take(source, buffer, part, reason);
        for (size_t done = 0; good && done < data;) {
            ssize_t written = write(file, buffer + done, data - done);
            if (written < 0 && errno != EINTR)
                good = refuse_contents(reason);
            done += written > 0 ? (size_t)written : 0;
        }
        padded -= part;
        size -= data;
    }
    struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = UNPACKED_TIME}};
    if (good && futimens(file, times) != 0)
        good = refuse(reason, "files can't be given a time there");
    if (close(file) != 0 && good)
        good = refuse_contents(reason);
    return good;
}

static bool unpack_all(struct source *source, int folder, char *buffer, size_t size, struct reason *reason) {
    for (;;) {
        struct header header;
        if (!take(source, &header, sizeof header, reason))
            return false;
        if (header.name[0] == '\0')
            break;
        char name[sizeof header.prefix + sizeof header.name + 2], link[sizeof header.link + 1];
        snprintf(name, sizeof name, "%.155s%s%.100s", header.prefix, header.prefix[0] ? "/" : "", header.name);
        snprintf(link, sizeof link, "%.100s", header.link);
        size_t length = strtoull(header.size, NULL, 8);
        bool program = (strtoul(header.mode, NULL, 8) & 0100) != 0;
        if (header.type == '5') {
            name[strcspn(name, "\0") - (name[strlen(name) - 1] == '/')] = '\0';
            if (mkdirat(folder, name, 0700) != 0 && errno != EEXIST)
                return refuse(reason, "a folder can't be made there");
        } else if (header.type == '2') {
            if (symlinkat(link, folder, name) != 0)
                return refuse(reason, "a link can't be made there");
        } else if (!write_file(source, folder, name, length, program ? 0700 : 0600, buffer, size, reason)) {
            return false;
        }
    }
    while (source->left != 0) { /* the padding of the archive, and the frame's checksum */
        ZSTD_outBuffer rest = {buffer, size, 0};
        size_t read = source->packed.pos;
        source->left = ZSTD_decompressStream(source->context, &rest, &source->packed);
        if (ZSTD_isError(source->left) || (rest.pos == 0 && source->packed.pos == read)) {
            snprintf(reason->text, sizeof reason->text, "the executable is damaged: download it again");
            return false;
        }
    }
    return true;
}

bool unpack(int folder, struct reason *reason) {
    size_t size = 256 * 1024;
    char *buffer = malloc(size);
    struct source source = {ZSTD_createDCtx(), {payload, (size_t)(payload_end - payload), 0}, 1};
    bool good = false;
    if (buffer == NULL || source.context == NULL)
        refuse(reason, "no memory to unpack");
    else
        good = unpack_all(&source, folder, buffer, size, reason);
    ZSTD_freeDCtx(source.context);
    free(buffer);
    return good;
}
