// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzzes kvik run --config: any bytes as a file. What it takes, it also prints, and takes
// again for the same.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../run-config.h"
#include "../../run-disk.h"
#include "../../run-net.h"
#include "fuzz-quiet.h"
#include "vm-config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	silence(argc, argv);
	return 0;
}

static int ignore(void *value, const char *argument)
{
	return 0;
}

// Reads @bytes by way of a file without a name.
static int read_bytes(struct run_config *config, const void *bytes, size_t size)
{
	int fd = memfd_create("config", MFD_CLOEXEC), err = -1;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd >= 0 && write(fd, bytes, size) == (ssize_t)size)
		err = run_config_read(config, path);
	close(fd);
	return err;
}

// @config has been read: what it prints is as good as what was read.
static void check_round_trip(const struct run_config *config)
{
	json_t *printed = run_config_json(config), *again;
	char *text = printed ? json_dumps(printed, JSON_INDENT(2)) : NULL;
	struct run_config copy;

	run_config_init(&copy, config->options);
	if (!text || read_bytes(&copy, text, strlen(text)))
		abort();
	again = run_config_json(&copy);
	if (!json_equal(printed, again))
		abort();
	run_config_free(&copy);
	json_decref(again);
	json_decref(printed);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vm_config values = { .name = "fuzz" };
	bool flag, first;
	const char *path;
	unsigned count;
	const struct option_spec options[] = {
		{ OPTION_FLAG, 0, "first", NULL, "", &first, .flags = OPTION_FIRST },
		{ OPTION_STRING, 'k', "kernel", "PATH", "", &path, .flags = OPTION_PATH },
		{ OPTION_UINT, 'c', "cpus", "N", "", &count },
		{ OPTION_FLAG, 0, "rng", NULL, "", &flag },
		{ OPTION_CALL, 'd', "disk", "PATH", "", &values, disk_parse,
		  .flags = OPTION_REPEATED | OPTION_PATH },
		{ OPTION_CALL, 'n', "network", "KEY=VALUE", "", &values, network_parse,
		  .flags = OPTION_REPEATED },
		{ OPTION_PREFIX, 0, "disable-", "EXT", "", NULL, ignore },
		{ .kind = OPTION_END },
	};
	struct run_config config;

	run_config_init(&config, options);
	if (!read_bytes(&config, data, size)) {
		check_round_trip(&config);
		(void)!run_config_apply(&config);
	}
	disks_free(&values);
	network_free(&values);
	run_config_free(&config);
	return 0;
}
