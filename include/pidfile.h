// SPDX-License-Identifier: GPL-2.0-or-later
// A file with the process's id, locked for as long as the process lives. Main thread.
#ifndef KVIK_PIDFILE_H
#define KVIK_PIDFILE_H

#include "util.h"

struct pidfile {
	const char *path; // NULL: none
	int fd;
};

// Makes the file @path, which outlives the claim, or takes over what another process has
// left. Returns 0; -EEXIST after a message when that process runs; -EINVAL after one when the
// file holds something else than a process id, and is left as it is; other -errno after a
// message.
int pidfile_claim(struct pidfile *pidfile, const char *path) MUST_CHECK;
// Removes it. Does nothing for one that was not claimed.
void pidfile_release(struct pidfile *pidfile);

#endif
