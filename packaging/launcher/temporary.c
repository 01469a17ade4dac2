#define _GNU_SOURCE
#include "launcher.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Wait until every process that inherited the other end of the pipe is gone, kill -9 included, then remove the folder.
 * A grandchild in a session of its own: the program has no child that it did not start. */
static void remove_afterwards(int parent, const char *name, int gone) {
    setsid();
    if (fork() != 0)
        _exit(0);
    prctl(PR_SET_NAME, "ganglion-tidy");
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_IGN); /* a service that is stopped gets its signals in all processes */
    int nothing = open("/dev/null", O_RDWR);
    for (int stream = 0; stream < 3; stream++)
        if (nothing < 0 || dup2(nothing, stream) < 0)
            close(stream);
    char byte;
    while (read(gone, &byte, 1) > 0)
        ;
    remove_tree(parent, name);
    _exit(0);
}

int temporary_build(const char *base, char *path, size_t size, struct reason *reason) {
    int parent = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC), ends[2];
    if (parent < 0)
        return refuse(reason, "it can't be opened"), -1;
    snprintf(path, size, "%s/" PROGRAM "-XXXXXX", base);
    if (!may_execute(parent, reason) || mkdtemp(path) == NULL || pipe(ends) != 0) {
        if (reason->text[0] == '\0')
            refuse(reason, "it can't be written");
        close(parent);
        return -1;
    }
    const char *name = path + strlen(base) + 1;
    int folder = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    pid_t helper = folder >= 0 ? fork() : -1;
    if (helper == 0) {
        close(ends[1]);
        remove_afterwards(parent, name, ends[0]);
    }
    close(ends[0]);
    if (helper > 0)
        waitpid(helper, NULL, 0);
    bool good = helper > 0 && unpack(folder, reason);
    if (good)
        flock(folder, LOCK_SH); /* systemd-tmpfiles lets what is locked grow old */
    if (!good) {
        if (folder >= 0)
            close(folder);
        remove_tree(parent, name);
        close(ends[1]);
        folder = -1;
    }
    close(parent);
    return folder;
}
