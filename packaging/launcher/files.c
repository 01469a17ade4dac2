#define _GNU_SOURCE
#include "launcher.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

bool refuse(struct reason *reason, const char *doing) {
    snprintf(reason->text, sizeof reason->text, "%s: %s", doing, strerror(errno));
    return false;
}

/* Ours, and for us alone if it is private: nobody else (but root) can put files of theirs into it. A link is followed
 * for a folder that a person named, never for one that we make. */
int own_folder(const char *path, bool private, struct reason *reason) {
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return refuse(reason, "it can't be made"), -1;
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (private ? O_NOFOLLOW : 0));
    if (folder < 0)
        return refuse(reason, "it can't be opened"), -1;
    struct stat found;
    if (fstat(folder, &found) != 0) {
        refuse(reason, "it can't be read");
    } else if (found.st_uid != geteuid()) {
        snprintf(reason->text, sizeof reason->text, "it belongs to another user");
    } else if (private && (found.st_mode & 077) != 0 && fchmod(folder, 0700) != 0) {
        refuse(reason, "it can't be made private");
    } else if (may_execute(folder, reason)) {
        return folder;
    }
    close(folder);
    return -1;
}

bool may_execute(int folder, struct reason *reason) {
    struct statvfs system;
    bool may = fstatvfs(folder, &system) != 0 || (system.f_flag & ST_NOEXEC) == 0;
    if (!may)
        snprintf(reason->text, sizeof reason->text, "its file system is mounted noexec");
    return may;
}

/* Links are removed, never followed. What can't be removed stays. */
void remove_tree(int parent, const char *name) {
    int folder = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0) {
        if (unlinkat(parent, name, 0) != 0)
            unlinkat(parent, name, AT_REMOVEDIR); /* an empty one that we lack a descriptor for */
        return;
    }
    DIR *listing = fdopendir(folder);
    for (struct dirent *entry; listing != NULL && (entry = readdir(listing)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            remove_tree(folder, entry->d_name);
    if (listing != NULL)
        closedir(listing);
    else
        close(folder);
    unlinkat(parent, name, AT_REMOVEDIR);
}
