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
    int parent = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC), folder = -1, ends[2] = {-1, -1};
    if (parent < 0)
        return refuse(reason, "it can't be opened"), -1;
    snprintf(path, size, "%s/" PROGRAM "-XXXXXX", base);
    if (!may_execute(parent, reason) || (mkdtemp(path) == NULL && !refuse(reason, "it can't be written"))) {
        close(parent);
        return -1;
    }
    const char *name = path + strlen(base) + 1;
    pid_t helper = -1;
    if ((folder = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
        refuse(reason, "a folder there can't be opened");
    else if (pipe(ends) != 0 || (helper = fork()) < 0)
        refuse(reason, "no process can be started that tidies up there");
    if (helper == 0) {
        close(ends[1]);
        remove_afterwards(parent, name, ends[0]);
    }
    close(ends[0]);
    if (helper > 0)
        waitpid(helper, NULL, 0);
    bool good = helper > 0 && unpack(folder, reason);
    if (good) {
        flock(folder, LOCK_SH); /* systemd-tmpfiles lets what is locked grow old */
    } else {
        close(folder); /* before the tree, which may need the last descriptors */
        remove_tree(parent, name);
        close(ends[1]);
        folder = -1;
    }
    close(parent);
    return folder;
}
