// SPDX-License-Identifier: GPL-2.0-or-later
// The generated kernel command line.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bootargs.h"
#include "vm-config.h"

#include <cmocka.h>

#define DEFAULTS " earlycon panic=-1 cryptomgr.notests"

static void assert_bootargs(const struct vm_config *config, const char *expected)
{
	char line[BOOTARGS_SIZE];

	assert_int_equal(bootargs_build(config, 1024, line, sizeof(line)), 0);
	assert_string_equal(line, expected);
}

static void test_bootargs(void **state)
{
	struct disk_config disk = { .path = "x" };
	struct vm_config config = { .console = CONSOLE_SERIAL };

	assert_bootargs(&config, "console=ttyS0" DEFAULTS);
	config.console = CONSOLE_VIRTIO;
	assert_bootargs(&config, "console=hvc0" DEFAULTS);
	// Linux takes the last of two.
	config.params = "quiet panic=5 cryptomgr.notests=0";
	assert_bootargs(&config, "console=hvc0" DEFAULTS " quiet panic=5 cryptomgr.notests=0");
	config.params = NULL;
	config.disks = &disk;
	config.disk_count = 1;
	assert_bootargs(&config, "console=hvc0" DEFAULTS " root=/dev/vda rw");
	disk.read_only = true;
	assert_bootargs(&config, "console=hvc0" DEFAULTS " root=/dev/vda ro");
	config.params = "root=/dev/vdb";
	assert_bootargs(&config, "console=hvc0" DEFAULTS " root=/dev/vdb");
	config.params = "quiet root=LABEL=x";
	assert_bootargs(&config, "console=hvc0" DEFAULTS " quiet root=LABEL=x");
	config.params = "nfsroot=1 rootflags=2";
	assert_bootargs(&config, "console=hvc0" DEFAULTS " root=/dev/vda ro nfsroot=1 rootflags=2");
	config.params = "";
	config.initrd_path = "initrd";
	assert_bootargs(&config, "console=hvc0" DEFAULTS);
}

static void test_bootargs_without_defaults(void **state)
{
	struct disk_config disk = { .path = "x" };
	struct vm_config config = { .no_defaults = true, .disks = &disk, .disk_count = 1 };

	assert_bootargs(&config, "");
	config.params = "console=hvc0 single";
	assert_bootargs(&config, "console=hvc0 single");
}

static void test_bootargs_have_a_limit(void **state)
{
	struct vm_config config = { .no_defaults = true };
	char *params = malloc(65537);
	char line[BOOTARGS_SIZE];

	config.params = params;
	memset(params, 'x', 65536);
	params[65536] = '\0';
	assert_int_equal(bootargs_build(&config, 1024, line, sizeof(line)), -E2BIG);
	params[BOOTARGS_SIZE] = '\0';
	assert_int_equal(bootargs_build(&config, 1024, line, sizeof(line)), -E2BIG);
	params[BOOTARGS_SIZE - 1] = '\0';
	assert_int_equal(bootargs_build(&config, 1024, line, sizeof(line)), 0);
	assert_string_equal(line, params);
	config.no_defaults = false;
	assert_int_equal(bootargs_build(&config, 1024, line, sizeof(line)), -E2BIG);
	free(params);
}

static void assert_root(const struct vm_config *config, const char *expected)
{
	char root[64];

	assert_int_equal(bootargs_root(config, root, sizeof(root)), *expected != '\0');
	assert_string_equal(root, expected);
}

static void test_root(void **state)
{
	struct disk_config disk = { .path = "x" };
	struct vm_config config = { .params = NULL };

	assert_root(&config, "");
	config.disks = &disk;
	config.disk_count = 1;
	assert_root(&config, "/dev/vda");
	config.params = "quiet nfsroot=5";
	assert_root(&config, "/dev/vda");
	// Linux takes the last of two.
	config.params = "root=/dev/vdb quiet root=LABEL=a\tro";
	assert_root(&config, "LABEL=a");
	config.params = "quiet";
	config.initrd_path = "initrd";
	assert_root(&config, "");
	config.initrd_path = NULL;
	config.no_defaults = true;
	assert_root(&config, "");
	config.params = "root=/dev/vda1";
	assert_root(&config, "/dev/vda1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bootargs),
		cmocka_unit_test(test_bootargs_without_defaults),
		cmocka_unit_test(test_bootargs_have_a_limit),
		cmocka_unit_test(test_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
