// SPDX-License-Identifier: GPL-2.0-or-later
// Each bad file has its message on stderr; a million of them say nothing.
#ifndef KVIK_FUZZ_QUIET_H
#define KVIK_FUZZ_QUIET_H

#include <stdlib.h>
#include <string.h>

// For LLVMFuzzerInitialize(). The fuzzer's own output and the sanitizers' go another way.
static void silence(int *argc, char ***argv)
{
	static char flag[] = "-close_fd_mask=2";
	char **more = calloc(*argc + 2, sizeof(*more));

	if (!more)
		abort();
	memcpy(more, *argv, *argc * sizeof(*more));
	more[(*argc)++] = flag;
	*argv = more;
}

#endif
