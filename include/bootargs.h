// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel's command line: what kvik generates, then what the user gave.
#ifndef KVIK_BOOTARGS_H
#define KVIK_BOOTARGS_H

#include <stdbool.h>
#include <stddef.h>

#include "util.h"

struct vm_config;

// More than any kernel reads.
#define BOOTARGS_SIZE 4096

// Writes the line into @text of @size bytes, its NUL included. A line that Linux
// would cut, since its COMMAND_LINE_SIZE is @linux_size, is warned of. Returns 0, or
// -E2BIG after a message. Main thread.
int bootargs_build(const struct vm_config *config, size_t linux_size, char *text, size_t size)
	MUST_CHECK;

// Writes into @text what that line makes the kernel's root file system: "/dev/vda",
// "LABEL=x". False: nothing.
bool bootargs_root(const struct vm_config *config, char *text, size_t size);

#endif
