// SPDX-License-Identifier: GPL-2.0-or-later
// What an x86-64 kernel finds when it starts: memory map, boot_params, PVH's start
// info, tables, command line, initrd.

#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../x86/x86-boot.h"
#include "../../x86/x86-machine.h"
#include "bootargs.h"
#include "bus.h"
#include "memory.h"
#include "vm-config.h"

#include <cmocka.h>

#define KERNEL_GPA (16 * MIB)
#define KERNEL_END (KERNEL_GPA + 0x5000)

// -- RAM --

struct ram {
	struct memory memory;
	struct vm_config config;
	struct image kernel;
	struct bus pio;
	struct device_list devices;
	struct vcpu_set vcpus;
	struct machine machine;
	struct x86_machine priv;
};

static void add_ram(struct memory *mem, uint64_t bytes)
{
	uint64_t low = MIN(bytes, X86_RAM_GAP_BASE);

	memory_init(mem);
	assert_int_equal(memory_add_ram(mem, 0, low), 0);
	if (bytes > low)
		assert_int_equal(memory_add_ram(mem, X86_RAM_HIGH_BASE, bytes - low), 0);
}

static uint32_t get32(const uint8_t *data)
{
	uint32_t value;

	memcpy(&value, data, sizeof(value));
	return le32toh(value);
}

static uint64_t get64(const uint8_t *data)
{
	return get32(data) | (uint64_t)get32(data + 4) << 32;
}

static const uint8_t *bytes_at(const struct memory *mem, uint64_t gpa, size_t size)
{
	const uint8_t *data = memory_ptr(mem, gpa, size);

	assert_non_null(data);
	return data;
}

// -- memory map --

static const struct x86_range *range_of(const struct x86_boot *boot, uint64_t gpa)
{
	for (unsigned i = 0; i < boot->range_count; i++)
		if (gpa - boot->ranges[i].base_gpa < boot->ranges[i].size_bytes)
			return &boot->ranges[i];
	return NULL;
}

static void assert_type(const struct x86_boot *boot, uint64_t gpa, uint32_t type)
{
	const struct x86_range *range = range_of(boot, gpa);

	assert_int_equal(range ? range->type : 0, type);
}

// By address, none empty, none over another; RAM in the map is RAM in the VM.
static void assert_sound(const struct x86_boot *boot, const struct memory *mem)
{
	uint64_t end = 0;

	for (unsigned i = 0; i < boot->range_count; i++) {
		const struct x86_range *range = &boot->ranges[i];

		assert_true(range->base_gpa >= end);
		assert_true(range->size_bytes > 0);
		end = range->base_gpa + range->size_bytes;
		if (range->type == X86_RANGE_RAM)
			assert_non_null(memory_ptr(mem, range->base_gpa, range->size_bytes));
	}
}

// Every byte of RAM but those that a PC has something else at.
static void assert_complete(const struct x86_boot *boot, uint64_t ram_bytes)
{
	uint64_t listed = 0;

	for (unsigned i = 0; i < boot->range_count; i++)
		if (boot->ranges[i].type == X86_RANGE_RAM)
			listed += boot->ranges[i].size_bytes;
	assert_int_equal(listed, ram_bytes - (MIB - X86_LOW_RAM_END));
}

static void test_memory_map(void **state)
{
	const uint64_t sizes[] = {
		X86_RAM_MIN_BYTES,       256 * MIB, X86_RAM_GAP_BASE - 4096,    X86_RAM_GAP_BASE,
		X86_RAM_GAP_BASE + 4096, 4 * GIB,   X86_RAM_GAP_BASE + 8 * GIB, X86_RAM_MAX_BYTES,
	};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct x86_boot boot = { 0 };
		struct memory mem;

		add_ram(&mem, sizes[i]);
		assert_int_equal(x86_boot_map(&boot, &mem), 0);
		assert_sound(&boot, &mem);
		assert_complete(&boot, sizes[i]);
		assert_type(&boot, 0, X86_RANGE_RAM);
		assert_type(&boot, X86_LOW_RAM_END - 1, X86_RANGE_RAM);
		assert_type(&boot, X86_LOW_RAM_END, X86_RANGE_RESERVED);
		assert_type(&boot, 0x9ffff, X86_RANGE_RESERVED);
		assert_type(&boot, 0xa0000, 0);
		assert_type(&boot, X86_ACPI_GPA, X86_RANGE_ACPI);
		assert_type(&boot, X86_RESET_VECTOR_GPA + 15, X86_RANGE_RESERVED);
		assert_type(&boot, X86_KERNEL_GPA, X86_RANGE_RAM);
		assert_type(&boot, X86_RAM_GAP_BASE, 0);
		assert_type(&boot, X86_VIRTIO_BASE, 0);
		assert_type(&boot, 0xfffbd000, X86_RANGE_RESERVED);
		memory_exit(&mem);
	}
}

// -- boot_params, start info, tables --

// As load() would leave it; frees nothing.
static struct x86_boot make_boot(const struct memory *mem, const struct image *kernel)
{
	struct x86_boot boot = {
		.kernel = kernel,
		.entry_gpa = KERNEL_GPA + 0x40,
		.command_line = "console=ttyS0",
		.initrd_gpa = 0x123456000,
		.initrd_bytes = 0x100000789,
	};

	assert_int_equal(x86_boot_map(&boot, mem), 0);
	return boot;
}

static void assert_e820(const uint8_t *params, const struct x86_boot *boot)
{
	assert_int_equal(params[0x1e8], boot->range_count);
	for (unsigned i = 0; i < boot->range_count; i++) {
		const uint8_t *entry = params + 0x2d0 + i * 20;

		assert_int_equal(get64(entry), boot->ranges[i].base_gpa);
		assert_int_equal(get64(entry + 8), boot->ranges[i].size_bytes);
		assert_int_equal(get32(entry + 16), boot->ranges[i].type);
	}
}

static void test_boot_params_of_a_vmlinux(void **state)
{
	struct image kernel = { .kind = IMAGE_KIND_ELF };
	struct x86_entry entry;
	struct x86_boot boot;
	struct memory mem;
	const uint8_t *params;

	add_ram(&mem, 5 * GIB);
	boot = make_boot(&mem, &kernel);
	assert_int_equal(x86_boot_write(&boot, &mem, &entry), 0);
	params = bytes_at(&mem, X86_BOOT_PARAMS_GPA, 4096);
	assert_int_equal(get64(params + 0x070), X86_ACPI_GPA);
	assert_int_equal(params[0x1ef], 0); // sentinel
	assert_memory_equal(params + 0x1fe, "\x55\xaa", 2);
	assert_memory_equal(params + 0x202, "HdrS\x0f\x02", 6);
	assert_int_equal(params[0x210], 0xff);
	assert_int_equal(params[0x211], 1);
	assert_int_equal(get32(params + 0x218), 0x23456000);
	assert_int_equal(get32(params + 0x0c0), 1);
	assert_int_equal(get32(params + 0x21c), 0x789);
	assert_int_equal(get32(params + 0x0c4), 1);
	assert_int_equal(get32(params + 0x228), X86_CMDLINE_GPA);
	assert_string_equal((const char *)bytes_at(&mem, X86_CMDLINE_GPA, 64), "console=ttyS0");
	assert_e820(params, &boot);
	memory_exit(&mem);
}

// A bzImage's own header, but for what a boot loader fills in.
static void test_boot_params_of_a_bzimage(void **state)
{
	struct image kernel = { .kind = IMAGE_KIND_BZIMAGE, .setup_header_bytes = 0x7b };
	struct x86_entry entry;
	struct x86_boot boot;
	struct memory mem;
	const uint8_t *params;

	memset(kernel.setup_header, 0x5a, sizeof(kernel.setup_header));
	add_ram(&mem, 64 * MIB);
	boot = make_boot(&mem, &kernel);
	assert_int_equal(x86_boot_write(&boot, &mem, &entry), 0);
	params = bytes_at(&mem, X86_BOOT_PARAMS_GPA, 4096);
	assert_int_equal(params[0x1f1], 0x5a);
	assert_int_equal(params[0x1f1 + 0x7b - 1], 0x5a);
	assert_int_equal(params[0x1f1 + 0x7b], 0);
	assert_int_equal(params[0x1fa], 0xff); // vid_mode
	assert_int_equal(params[0x210], 0xff);
	assert_int_equal(get32(params + 0x228), X86_CMDLINE_GPA);
	assert_e820(params, &boot);
	memory_exit(&mem);
}

static void test_seed(void **state)
{
	struct image kernel = { .kind = IMAGE_KIND_ELF };
	uint8_t before[64] = { 0 };

	for (unsigned i = 0; i < 2; i++) {
		const uint8_t *params, *data;
		struct x86_entry entry;
		struct x86_boot boot;
		struct memory mem;

		add_ram(&mem, 64 * MIB);
		boot = make_boot(&mem, &kernel);
		assert_int_equal(x86_boot_write(&boot, &mem, &entry), 0);
		params = bytes_at(&mem, X86_BOOT_PARAMS_GPA, 4096);
		data = bytes_at(&mem, get64(params + 0x250), 16 + 64);
		assert_int_equal(get64(data), 0);
		assert_int_equal(get32(data + 8), 9);
		assert_int_equal(get32(data + 12), 64);
		assert_memory_not_equal(data + 16, before, 64);
		memcpy(before, data + 16, 64);
		memory_exit(&mem);
	}
}

// Follows the tables as the MMU does; 2 MiB pages only.
static uint64_t translate(const struct memory *mem, uint64_t cr3, uint64_t vaddr)
{
	uint64_t table = cr3;

	for (unsigned shift = 39;; shift -= 9) {
		uint64_t entry = get64(bytes_at(mem, table + (vaddr >> shift) % 512 * 8, 8));

		if (!(entry & 1))
			return ~0ULL;
		assert_int_equal(entry & 0xfff & ~0x80, 3);
		table = align_down(entry, 4096);
		assert_int_equal(!!(entry & 0x80), shift == 21);
		if (shift == 21)
			return table + vaddr % (2 * MIB);
	}
}

static void test_entry_of_linux(void **state)
{
	const uint64_t mapped[] = { 0, 0x7123, KERNEL_GPA, GIB - 1, 3 * GIB, 4 * GIB - 1 };
	struct image kernel = { .kind = IMAGE_KIND_ELF };
	const uint8_t *gdt;
	struct x86_entry entry;
	struct x86_boot boot;
	struct memory mem;

	add_ram(&mem, 64 * MIB);
	boot = make_boot(&mem, &kernel);
	assert_int_equal(x86_boot_write(&boot, &mem, &entry), 0);
	assert_true(entry.long_mode);
	assert_int_equal(entry.rip, KERNEL_GPA + 0x40);
	assert_int_equal(entry.rsi, X86_BOOT_PARAMS_GPA);
	for (size_t i = 0; i < ARRAY_SIZE(mapped); i++)
		assert_int_equal(translate(&mem, entry.cr3, mapped[i]), mapped[i]);
	assert_int_equal(translate(&mem, entry.cr3, 4 * GIB), ~0ULL);
	assert_int_equal(translate(&mem, entry.cr3, 1ULL << 39), ~0ULL);
	gdt = bytes_at(&mem, entry.gdt_gpa, entry.gdt_bytes);
	assert_true(entry.gdt_bytes >= X86_BOOT_DS + 8);
	assert_int_equal(get64(gdt), 0);
	assert_int_equal(get64(gdt + X86_BOOT_CS), 0x00af9b000000ffff);
	assert_int_equal(get64(gdt + X86_BOOT_DS), 0x00cf93000000ffff);
	memory_exit(&mem);
}

static void assert_pvh_map(const struct memory *mem, const uint8_t *info,
			   const struct x86_boot *boot)
{
	const uint8_t *map = bytes_at(mem, get64(info + 40), boot->range_count * 24);

	assert_int_equal(get32(info + 48), boot->range_count);
	for (unsigned i = 0; i < boot->range_count; i++) {
		assert_int_equal(get64(map + i * 24), boot->ranges[i].base_gpa);
		assert_int_equal(get64(map + i * 24 + 8), boot->ranges[i].size_bytes);
		assert_int_equal(get32(map + i * 24 + 16), boot->ranges[i].type);
	}
}

static void test_entry_by_pvh(void **state)
{
	struct image kernel = { .kind = IMAGE_KIND_ELF };
	const uint8_t *info, *module;
	struct x86_entry entry;
	struct x86_boot boot;
	struct memory mem;

	add_ram(&mem, 5 * GIB);
	boot = make_boot(&mem, &kernel);
	boot.pvh = true;
	assert_int_equal(x86_boot_write(&boot, &mem, &entry), 0);
	assert_false(entry.long_mode);
	assert_int_equal(entry.rip, KERNEL_GPA + 0x40);
	assert_int_equal(entry.rbx, X86_PVH_INFO_GPA);
	assert_int_equal(get64(bytes_at(&mem, entry.gdt_gpa + X86_BOOT_CS, 8)), 0x00cf9b000000ffff);
	info = bytes_at(&mem, entry.rbx, 56);
	assert_int_equal(get32(info), 0x336ec578);
	assert_int_equal(get32(info + 4), 1);
	assert_int_equal(get32(info + 12), 1);
	module = bytes_at(&mem, get64(info + 16), 32);
	assert_int_equal(get64(module), 0x123456000);
	assert_int_equal(get64(module + 8), 0x100000789);
	assert_string_equal((const char *)bytes_at(&mem, get64(info + 24), 64), "console=ttyS0");
	assert_int_equal(get64(info + 32), X86_ACPI_GPA);
	assert_pvh_map(&mem, info, &boot);
	boot.initrd_bytes = 0;
	assert_int_equal(x86_boot_write(&boot, &mem, &entry), 0);
	assert_int_equal(get32(info + 12), 0);
	memory_exit(&mem);
}

// -- command line --

#define DEFAULTS "pci=off reboot=a console=ttyS0 earlycon panic=-1 cryptomgr.notests"

static const char *line_of(struct vm_config config, unsigned slots)
{
	static char text[BOOTARGS_SIZE];

	return x86_cmdline_build(&config, slots, text, sizeof(text)) ? NULL : text;
}

static void test_command_line(void **state)
{
	assert_string_equal(line_of((struct vm_config){ 0 }, 2), DEFAULTS);
	assert_string_equal(line_of((struct vm_config){ .params = "a -- b" }, 2),
			    DEFAULTS " a -- b");
	assert_string_equal(line_of((struct vm_config){ .no_defaults = true, .params = "a" }, 2),
			    "a");
	assert_string_equal(line_of((struct vm_config){ .no_defaults = true }, 2), "");
}

static void test_devices_without_acpi(void **state)
{
	static const char *const with[] = { "acpi=off", "a acpi=off", "acpi=off b",
					    "a acpi=off\tb" };
	static const char *const without[] = { "xacpi=off", "acpi=offx", "acpi=on", "noacpi=off" };
	char expected[128];

	snprintf(expected, sizeof(expected),
		 " virtio_mmio.device=0x1000@0x%llx:%u virtio_mmio.device=0x1000@0x%llx:%u console",
		 X86_VIRTIO_BASE, x86_virtio_place(0).gsi, X86_VIRTIO_BASE + X86_VIRTIO_STRIDE,
		 x86_virtio_place(1).gsi);
	for (size_t i = 0; i < ARRAY_SIZE(with); i++)
		assert_non_null(
			strstr(line_of((struct vm_config){ .params = with[i] }, 2), expected));
	for (size_t i = 0; i < ARRAY_SIZE(without); i++)
		assert_null(strstr(line_of((struct vm_config){ .params = without[i] }, 2),
				   "virtio_mmio"));
	assert_string_equal(line_of((struct vm_config){ .no_defaults = true, .params = "acpi=off" },
				    2),
			    "acpi=off");
	assert_null(line_of((struct vm_config){ .params = "acpi=off" }, X86_VIRTIO_SLOTS));
}

// -- load() --

// An ELF file with one segment at @paddr and 0x5000 bytes of memory.
static void give_kernel(struct ram *ram, uint64_t paddr)
{
	static uint8_t file[512];

	memset(file, 0, sizeof(file));
	memcpy(file, "\177ELF\2\1\1", 7);
	file[16] = 2;  // ET_EXEC
	file[18] = 62; // EM_X86_64
	memcpy(file + 24, &(uint64_t){ htole64(paddr + 0x40) }, 8);
	file[32] = 64; // e_phoff
	file[54] = 56; // e_phentsize
	file[56] = 1;  // e_phnum
	file[64] = 1;  // PT_LOAD
	memcpy(file + 64 + 16, &(uint64_t){ htole64(paddr) }, 8);
	memcpy(file + 64 + 24, &(uint64_t){ htole64(paddr) }, 8);
	memcpy(file + 64 + 32, &(uint64_t){ htole64(sizeof(file)) }, 8);
	memcpy(file + 64 + 40, &(uint64_t){ htole64(0x5000) }, 8);
	assert_int_equal(image_parse(&ram->kernel, "kernel", file, sizeof(file)), 0);
}

static struct ram *make_machine(uint64_t memory_bytes)
{
	struct ram *ram = calloc(1, sizeof(*ram));

	assert_non_null(ram);
	add_ram(&ram->memory, memory_bytes);
	ram->config.memory_bytes = memory_bytes;
	ram->vcpus.count = 2;
	ram->priv.initrd_fd = -1;
	ram->machine = (struct machine){
		.config = &ram->config,
		.kernel = &ram->kernel,
		.memory = &ram->memory,
		.vcpus = &ram->vcpus,
		.devices = &ram->devices,
		.priv = &ram->priv,
	};
	return ram;
}

static void free_machine(struct ram *ram)
{
	if (ram->priv.initrd_fd >= 0)
		close(ram->priv.initrd_fd);
	image_close(&ram->kernel);
	memory_exit(&ram->memory);
	free(ram);
}

static const char *write_initrd(uint64_t size)
{
	static char path[] = "/tmp/kvik-test-x86-XXXXXX";
	int fd;

	memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "initrd", 6, 0), 6);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
	return path;
}

// Where load() put an initrd of @size bytes.
static uint64_t initrd_place(struct ram *ram, uint64_t size)
{
	const uint8_t *params;
	uint64_t gpa;

	ram->config.initrd_path = write_initrd(size);
	assert_int_equal(x86_load(&ram->machine), 0);
	unlink(ram->config.initrd_path);
	params = bytes_at(&ram->memory, X86_BOOT_PARAMS_GPA, 4096);
	gpa = get32(params + 0x218) | (uint64_t)get32(params + 0x0c0) << 32;
	assert_int_equal(get32(params + 0x21c) | (uint64_t)get32(params + 0x0c4) << 32, size);
	assert_memory_equal(bytes_at(&ram->memory, gpa, size), "initrd", 6);
	return gpa;
}

static void test_load(void **state)
{
	struct ram *ram = make_machine(64 * MIB);

	give_kernel(ram, KERNEL_GPA);
	assert_int_equal(x86_load(&ram->machine), 0);
	assert_int_equal(ram->priv.entry.rip, KERNEL_GPA + 0x40);
	assert_memory_equal(bytes_at(&ram->memory, KERNEL_GPA, 4), "\177ELF", 4);
	assert_memory_equal(bytes_at(&ram->memory, X86_ACPI_GPA, 8), "RSD PTR ", 8);
	assert_int_equal(get32(bytes_at(&ram->memory, X86_BOOT_PARAMS_GPA + 0x21c, 4)), 0);
	free_machine(ram);
}

static void test_initrd_behind_the_kernel(void **state)
{
	struct ram *ram = make_machine(64 * MIB);

	give_kernel(ram, KERNEL_GPA);
	assert_int_equal(initrd_place(ram, 12345), KERNEL_END);
	// The next time it is read from the file that was opened first.
	assert_int_equal(x86_load(&ram->machine), 0);
	free_machine(ram);
}

static void test_initrd_above_the_gap(void **state)
{
	struct ram *ram = make_machine(X86_RAM_GAP_BASE + 64 * MIB);

	give_kernel(ram, X86_RAM_GAP_BASE - MIB);
	assert_int_equal(initrd_place(ram, 2 * MIB), X86_RAM_HIGH_BASE);
	free_machine(ram);
}

static void test_what_does_not_fit(void **state)
{
	struct ram *ram = make_machine(17 * MIB);

	give_kernel(ram, KERNEL_GPA);
	ram->config.initrd_path = write_initrd(2 * MIB);
	assert_int_equal(x86_load(&ram->machine), -ENOSPC);
	unlink(ram->config.initrd_path);
	free_machine(ram);
	// In the first MiB it would lie on what describes the machine.
	ram = make_machine(17 * MIB);
	give_kernel(ram, X86_BOOT_PARAMS_GPA);
	assert_int_equal(x86_load(&ram->machine), -EINVAL);
	free_machine(ram);
	ram = make_machine(X86_RAM_MIN_BYTES);
	give_kernel(ram, KERNEL_GPA);
	assert_int_equal(x86_load(&ram->machine), -ENOSPC);
	free_machine(ram);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_map),
		cmocka_unit_test(test_boot_params_of_a_vmlinux),
		cmocka_unit_test(test_boot_params_of_a_bzimage),
		cmocka_unit_test(test_seed),
		cmocka_unit_test(test_entry_of_linux),
		cmocka_unit_test(test_entry_by_pvh),
		cmocka_unit_test(test_command_line),
		cmocka_unit_test(test_devices_without_acpi),
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_initrd_behind_the_kernel),
		cmocka_unit_test(test_initrd_above_the_gap),
		cmocka_unit_test(test_what_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
