#define _GNU_SOURCE
#include "launcher.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNFINISHED ".unpacking"

/* All files are there, in their sizes, ours, and nobody has written to them since. Contents were flushed to the disk
 * before the folder got its name. Hashing them would read all of it at each start, where the program reads a third. */
static bool is_whole(int folder) {
    for (const char *line = manifest; line < manifest_end;) {
        char *after;
        unsigned long long size = strtoull(line, &after, 10);
        const char *end = strchr(++after, '\n');
        char path[512];
        struct stat found;
        if (end == NULL || snprintf(path, sizeof path, "%.*s", (int)(end - after), after) >= (int)sizeof path)
            return false;
        if (fstatat(folder, path, &found, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(found.st_mode) ||
            (unsigned long long)found.st_size != size || found.st_uid != geteuid() ||
            found.st_mtim.tv_sec != UNPACKED_TIME)
            return false;
        line = end + 1;
    }
    return true;
}

/* The unpacked build, with a shared lock that outlives execve; -1 if it is not there or not whole. */
static int ready_build(int base) {
    int folder = openat(base, BUILD, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (folder < 0)
        return -1;
    if (flock(folder, LOCK_SH | LOCK_NB) == 0 && is_whole(folder))
        return folder; /* whole after the lock: who removes a build takes the lock first */
    close(folder);
    return -1;
}

/* Unfinished work of a start that was killed, and builds that no process runs from. The caller holds the lock. */
static void tidy(int base) {
    int again = openat(base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = again < 0 ? NULL : fdopendir(again);
    for (struct dirent *entry; listing != NULL && (entry = readdir(listing)) != NULL;) {
        bool unfinished = strncmp(entry->d_name, UNFINISHED, strlen(UNFINISHED)) == 0;
        bool build = strlen(entry->d_name) == strlen(BUILD) &&
                     strspn(entry->d_name, "0123456789abcdef") == strlen(BUILD);
        int folder = build ? openat(base, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
        if (unfinished || (folder >= 0 && flock(folder, LOCK_EX | LOCK_NB) == 0))
            remove_tree(base, entry->d_name);
        if (folder >= 0)
            close(folder);
    }
    if (listing != NULL)
        closedir(listing);
}

static bool make_build(int base, struct reason *reason) {
    char name[64], aside[64];
    snprintf(name, sizeof name, UNFINISHED "-%d", (int)getpid());
    if (mkdirat(base, name, 0700) != 0)
        return refuse(reason, "it can't be written");
    int folder = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool good = folder < 0 ? refuse(reason, "a folder there can't be opened") : unpack(folder, reason);
    if (good && syncfs(folder) != 0) /* after a power cut a whole folder has whole files */
        good = refuse(reason, "it can't be flushed to the disk");
    if (folder >= 0)
        close(folder);
    if (good && renameat(base, name, base, BUILD) != 0) {
        /* A damaged one that is in use is in the way: it makes room, and whoever runs from it is not disturbed. */
        snprintf(aside, sizeof aside, UNFINISHED "-damaged-%d", (int)getpid());
        good = renameat(base, BUILD, base, aside) == 0 && renameat(base, name, base, BUILD) == 0;
        if (!good)
            refuse(reason, "it can't be renamed");
    }
    if (good)
        fsync(base);
    else
        remove_tree(base, name);
    return good;
}

int cached_build(const char *path, struct reason *reason) {
    int base = own_folder(path, true, reason);
    if (base < 0)
        return -1;
    int folder = ready_build(base);
    if (folder < 0) {
        if (flock(base, LOCK_EX) != 0) { /* one start unpacks, the others wait for it */
            refuse(reason, "it can't be locked");
        } else {
            folder = ready_build(base);
            if (folder < 0) {
                tidy(base);
                if (make_build(base, reason) && (folder = ready_build(base)) < 0)
                    refuse(reason, "what was unpacked there is not whole");
            }
        }
    }
    close(base);
    return folder;
}
