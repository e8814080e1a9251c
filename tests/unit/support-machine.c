// SPDX-License-Identifier: GPL-2.0-or-later
// A machine as vm.c makes one, for its tests.

#include "support-machine.h"

#include <endian.h>
#include <libfdt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define IMAGE_BYTES (64 * KIB)

static void request(void *opaque, enum vcpu_exit what)
{
	struct machine_fixture *f = opaque;

	f->power_requests |= 1U << what;
}

static void init_vcpus(struct machine_fixture *f)
{
	f->vcpus = (struct vcpu_set){
		.vcpus = calloc(f->config.cpus, sizeof(struct vcpu)),
		.count = f->config.cpus,
		.accel = &f->accel,
		.mmio = &f->mmio,
	};
	for (unsigned i = 0; i < f->config.cpus; i++)
		f->vcpus.vcpus[i] =
			(struct vcpu){ .index = i, .accel = &f->accel, .set = &f->vcpus };
}

struct machine_fixture *machine_fixture_make(const struct machine_ops *ops,
					     const struct accel_ops *accel,
					     const struct vm_config *config)
{
	struct machine_fixture *f = calloc(1, sizeof(*f));

	f->config = *config;
	f->accel = (struct accel){ .ops = accel, .memory = &f->memory, .config = &f->config };
	f->accel.vcpus = &f->vcpus;
	init_vcpus(f);
	memory_init(&f->memory);
	bus_init(&f->mmio);
	bus_init(&f->pio);
	assert_int_equal(loop_init(&f->loop), 0);
	f->machine = (struct machine){
		.ops = ops,
		.config = &f->config,
		.kernel = &f->kernel,
		.memory = &f->memory,
		.mmio = &f->mmio,
		.pio = &f->pio,
		.accel = &f->accel,
		.vcpus = &f->vcpus,
		.devices = &f->devices,
		.loop = &f->loop,
		.power = { .request = request, .opaque = f },
	};
	assert_int_equal(ops->probe(&f->config, accel), 0);
	assert_int_equal(ops->layout(&f->machine), 0);
	assert_int_equal(ops->init_irqchip(&f->machine), 0);
	assert_int_equal(ops->add_platform_devices(&f->machine), 0);
	return f;
}

void machine_fixture_free(struct machine_fixture *f)
{
	device_list_free(&f->devices);
	f->machine.ops->free(&f->machine);
	loop_exit(&f->loop);
	bus_exit(&f->pio);
	bus_exit(&f->mmio);
	memory_exit(&f->memory);
	image_close(&f->kernel);
	free(f->vcpus.vcpus);
	free(f);
}

void machine_fixture_give_kernel(struct machine_fixture *f, const char *magic, uint64_t text_offset,
				 uint64_t memory_bytes)
{
	uint8_t *data = calloc(1, IMAGE_BYTES);
	uint64_t fields[] = { htole64(text_offset), htole64(memory_bytes) };

	memcpy(data + 0x08, fields, sizeof(fields));
	memcpy(data + 0x38, magic, 4);
	image_close(&f->kernel);
	assert_int_equal(image_parse(&f->kernel, "kernel", data, IMAGE_BYTES), 0);
	free(data);
}

const char *machine_fixture_write_initrd(uint64_t size)
{
	static char path[] = "/tmp/kvik-test-initrd-XXXXXX";
	int fd;

	memcpy(path + strlen(path) - 6, "XXXXXX", 6);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(pwrite(fd, "initrd", 6, 0), 6);
	close(fd);
	return path;
}

const void *machine_fixture_tree(struct machine_fixture *f, uint64_t fdt_gpa)
{
	size_t size;
	const void *tree = f->machine.ops->device_tree(&f->machine, &size);
	const void *in_ram = memory_ptr(&f->memory, fdt_gpa, size);

	assert_non_null(in_ram);
	assert_int_equal(fdt_check_full(in_ram, size), 0);
	assert_memory_equal(in_ram, tree, size);
	return in_ram;
}

int tree_node(const void *fdt, const char *path)
{
	int node = fdt_path_offset(fdt, path);

	if (node < 0)
		fail_msg("no node %s", path);
	return node;
}

const void *tree_property(const void *fdt, const char *path, const char *name, int len)
{
	int got;
	const void *data = fdt_getprop(fdt, tree_node(fdt, path), name, &got);

	if (!data)
		fail_msg("%s has no %s", path, name);
	if (len >= 0 && got != len)
		fail_msg("%s: %s has %d bytes, not %d", path, name, got, len);
	return data;
}

uint32_t tree_u32(const void *fdt, const char *path, const char *name)
{
	return fdt32_ld(tree_property(fdt, path, name, 4));
}

uint64_t tree_u64(const void *fdt, const char *path, const char *name)
{
	return fdt64_ld(tree_property(fdt, path, name, 8));
}

void tree_assert_text(const void *fdt, const char *path, const char *name, const char *text)
{
	assert_string_equal(tree_property(fdt, path, name, (int)strlen(text) + 1), text);
}

void tree_assert_cells(const void *fdt, const char *path, const char *name, const uint32_t *cells,
		       unsigned count)
{
	const fdt32_t *got = tree_property(fdt, path, name, (int)count * 4);

	for (unsigned i = 0; i < count; i++)
		assert_int_equal(fdt32_ld(&got[i]), cells[i]);
}

void tree_assert_no(const void *fdt, const char *path, const char *name)
{
	assert_null(fdt_getprop(fdt, tree_node(fdt, path), name, NULL));
}

// A warning fails as an error does: both are said.
void tree_assert_sound(const void *fdt)
{
	char path[] = "/tmp/kvik-test-tree-XXXXXX", command[128], said[256] = "";
	int fd = mkstemp(path);
	FILE *dtc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, fdt, fdt_totalsize(fdt)), fdt_totalsize(fdt));
	close(fd);
	snprintf(command, sizeof(command),
		 "! command -v dtc >/dev/null || dtc -I dtb -O dtb -o /dev/null %s 2>&1", path);
	dtc = popen(command, "r");
	assert_non_null(dtc);
	if (fgets(said, sizeof(said), dtc))
		fail_msg("dtc: %s", said);
	assert_int_equal(pclose(dtc), 0);
	unlink(path);
}

void assert_apart(uint64_t base, uint64_t size, uint64_t other, uint64_t other_size)
{
	assert_true(base + size <= other || other + other_size <= base);
}
