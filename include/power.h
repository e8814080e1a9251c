// SPDX-License-Identifier: GPL-2.0-or-later
// How a device ends or restarts the machine (syscon, i8042).
#ifndef KVIK_POWER_H
#define KVIK_POWER_H

#include "vcpu.h"

struct power_sink {
	// VCPU_EXIT_SHUTDOWN or VCPU_EXIT_RESET; returns at once, the VM acts on it
	// soon after. Any thread.
	void (*request)(void *opaque, enum vcpu_exit what);
	void *opaque;
};

#endif
