// SPDX-License-Identifier: GPL-2.0-or-later
// What a VM's root file system is on, as far as its options tell.
#include <stdlib.h>
#include <string.h>

#include "bootargs.h"
#include "vm-priv.h"

// The number of the disk that /dev/vdb, /dev/vdb1 or /dev/vdaa is; -1: none of them.
static long disk_number(const char *device)
{
	long number = -1;

	if (strncmp(device, "/dev/vd", 7) != 0)
		return -1;
	for (device += 7; *device >= 'a' && *device <= 'z' && number < 1000; device++)
		number = (number + 1) * 26 + (*device - 'a');
	return device[strspn(device, "0123456789")] ? -1 : number;
}

static const char *source_of(const struct vm_config *config, const char *device)
{
	long number = disk_number(device);

	return number >= 0 && number < config->disk_count ? config->disks[number].path : NULL;
}

static json_t *describe(const char *device, const char *source)
{
	return json_pack("{s:o, s:o}", "device", vm_json_text(device), "source",
			 source ? vm_json_text(source) : json_null());
}

json_t *vm_root(const struct vm *vm)
{
	const struct vm_config *config = vm->config;
	char device[256];

	if (bootargs_root(config, device, sizeof(device)))
		return describe(device, source_of(config, device));
	return config->initrd_path ? describe("initrd", config->initrd_path) : json_null();
}
