/* One file that a person copies to a device: this small static program with the packed program inside. It unpacks once
 * for each build into a folder of the user's own, and becomes the program (execve): one process, nothing left behind.
 *
 * main.c       which folder, and becoming the program
 * cache.c      a folder that keeps unpacked builds: made, checked, shared by starts at the same time, tidied
 * temporary.c  where nothing can be kept: unpacked for one run, removed after it
 * unpack.c     the payload: a tar archive (ustar), compressed with zstd
 * files.c      folders that are ours, and trees that go
 * payload.S    the payload, and the list of its files
 *
 * There is no libc of the machine in it (static), so nothing here asks for users, names or locales.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#ifndef BUILD
#error "BUILD is the payload's hash: see packaging/launcher.py"
#endif
#define PROGRAM "ganglion"
#define UNPACKED_TIME 1735689600 /* every unpacked file's time of change: who writes to one later gives it another */

extern const unsigned char payload[], payload_end[];
extern const char manifest[], manifest_end[]; /* "<size> <path>\n" for each regular file */

/* Why a folder was not taken, for the message if none was. */
struct reason {
    char text[256];
};
bool refuse(struct reason *reason, const char *doing); /* "<doing>: <strerror(errno)>"; false */

/* A descriptor of the unpacked program's folder; -1 with a reason. It holds a shared lock until the process that
 * inherits it ends, so that nobody removes the folder before. */
int cached_build(const char *base, struct reason *reason);

/* The same below `base`, for one run; the path of the folder goes to `path`. A helper process removes it when the
 * program is gone: it has inherited the end of a pipe. */
int temporary_build(const char *base, char *path, size_t size, struct reason *reason);

bool unpack(int folder, struct reason *reason);

int own_folder(const char *path, bool private, struct reason *reason); /* made if need be; a descriptor or -1 */
bool may_execute(int folder, struct reason *reason);
void remove_tree(int parent, const char *name);
