// SPDX-License-Identifier: GPL-2.0-or-later
// The command line of an x86-64 kernel.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bootargs.h"
#include "log.h"
#include "vm-config.h"
#include "x86-boot.h"
#include "x86-machine.h"

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

// True when @params holds the word @word.
static bool has_word(const char *params, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = params; at && (at = strstr(at, word)); at++)
		if ((at == params || is_space(at[-1])) && (!at[length] || is_space(at[length])))
			return true;
	return false;
}

// Without ACPI nothing tells of the devices but the command line
// (CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES): size, address and interrupt of each.
static size_t list_devices(unsigned virtio_slots, char *text, size_t size)
{
	size_t used = 0;

	for (unsigned i = 0; i < virtio_slots && used < size; i++) {
		struct x86_virtio_place place = x86_virtio_place(i);

		used += snprintf(text + used, size - used, "virtio_mmio.device=0x%llx@0x%llx:%u ",
				 (unsigned long long)place.size_bytes,
				 (unsigned long long)place.base, place.gsi);
	}
	return used;
}

// pci=off: Linux would ask 8192 places for a bridge, by two exits each, before it has
// read the ACPI tables. reboot=a: it takes reduced hardware for a sign of EFI, and
// would restart by that or, since that is not there, by the reset vector.
#define QUIRKS "pci=off reboot=a "

int x86_cmdline_build(const struct vm_config *config, unsigned virtio_slots, char *text,
		      size_t size)
{
	size_t used = 0;

	// In front: the user's own come later, so that they win, and what comes after a "--"
	// is for init.
	if (!config->no_defaults)
		used = snprintf(text, size, "%s", QUIRKS);
	if (!config->no_defaults && has_word(config->params, "acpi=off"))
		used += list_devices(virtio_slots, text + used, size - used);
	if (used >= X86_LINUX_LINE_SIZE || used >= size)
		return fail_msg(E2BIG,
				"-p acpi=off: the %u virtio devices do not fit into the kernel "
				"command line; give fewer, or leave ACPI on",
				virtio_slots);
	return bootargs_build(config, X86_LINUX_LINE_SIZE - used, text + used, size - used);
}
