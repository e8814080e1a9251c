// SPDX-License-Identifier: GPL-2.0-or-later
// kvik run's option -n, --network. Main thread.
#ifndef KVIK_RUN_NET_H
#define KVIK_RUN_NET_H

#include "util.h"

struct vm_config;

// One -n: adds a network to @value, a struct vm_config, or notes that there shall be none.
// Returns 0, or -EINVAL or -ENOMEM after a message. For struct option_spec.
int network_parse(void *value, const char *argument) MUST_CHECK;
// When all options are parsed and the VM has its name: adds the default network where none
// is asked for, and gives each its MAC address. Returns 0 or -errno after a message.
int network_finish(struct vm_config *config) MUST_CHECK;
void network_free(struct vm_config *config);

#endif
