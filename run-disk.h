// SPDX-License-Identifier: GPL-2.0-or-later
// kvik run's option -d, --disk. Main thread.
#ifndef KVIK_RUN_DISK_H
#define KVIK_RUN_DISK_H

#include "util.h"

struct vm_config;

// One -d: adds a disk to the config that @config points to. Returns 0, or -EINVAL or
// -ENOMEM after a message. For struct option_spec.
int disk_parse(void *config, const char *argument) MUST_CHECK;
void disks_free(struct vm_config *config);

#endif
