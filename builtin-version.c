// SPDX-License-Identifier: GPL-2.0-or-later
// kvik version: the version, and what this kvik was built with.
#include <libfdt.h>
#include <stdbool.h>
#include <stdio.h>
#include <zlib.h>
#include <zstd.h>

#include "builtin.h"
#include "image.h"
#include "machine.h"
#include "options.h"
#include "vcpu.h"
#include "version.h"
#include "vm.h"

static void print_packings(void)
{
	const char *name, *separator = "";
	bool built;

	printf("kernels packed by: ");
	for (unsigned i = 0; (name = image_packing(i, &built)); i++) {
		if (!built)
			continue;
		printf("%s%s", separator, name);
		separator = ", ";
	}
	printf("\n");
}

static void print_build_options(void)
{
	const char *separator = "";

#if defined(__clang__)
	printf("compiler: %s\n", __VERSION__);
#else
	printf("compiler: gcc %s\n", __VERSION__);
#endif
	// libfdt and libaio do not tell their versions at run time.
	printf("libraries: libaio, libfdt (device tree format %d), zlib %s, zstd %s\n",
	       FDT_LAST_SUPPORTED_VERSION, zlibVersion(), ZSTD_versionString());
	print_packings();
	printf("architectures: ");
	for (unsigned i = 0; vm_build_parts.machines[i]; i++, separator = ", ")
		printf("%s%s", separator, vm_build_parts.machines[i]->name);
	printf("\naccelerators: ");
	separator = "";
	for (unsigned i = 0; vm_build_parts.accels[i]; i++, separator = ", ")
		printf("%s%s", separator, vm_build_parts.accels[i]->name);
	printf("\n");
}

int cmd_version(int argc, char **argv)
{
	bool build_options = false;
	const struct option_spec options[] = {
		{ .kind = OPTION_FLAG,
		  .long_name = "build-options",
		  .help = "Also show compiler, libraries and accelerators",
		  .value = &build_options },
		{ .kind = OPTION_END },
	};
	const struct command_usage usage = {
		.name = "kvik version",
		.synopsis = "[--build-options]",
		.summary = find_command("version")->summary,
		.options = options,
	};
	int ret = options_parse_only(&usage, argc, argv);

	if (ret == OPTIONS_HELP)
		return 0;
	if (ret)
		return VM_STATUS_USAGE;
	printf("kvik version %s\n", KVIK_VERSION);
	if (build_options)
		print_build_options();
	return 0;
}
