// SPDX-License-Identifier: GPL-2.0-or-later
// The riscv64 machine: memory map, command line, ISA string, loading, device tree.

#include <endian.h>
#include <errno.h>
#include <libfdt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../riscv/riscv-machine.h"
#include "bus.h"
#include "loop.h"
#include "memory.h"
#include "riscv-accel.h"
#include "vm-config.h"

#include <cmocka.h>

#define RAM 0x80000000ULL

// -- an accelerator that only says what its harts are --

static const char *const extensions[] = { "i", "m", "a", "zicsr", "zicboz", "sstc", NULL };

struct started {
	bool started;
	uint64_t pc, a0, a1;
};

static struct started last_reset[4];

static int cpu_info(struct vcpu *vcpu, struct riscv_cpu_info *info)
{
	*info = (struct riscv_cpu_info){
		.extensions = extensions,
		.timebase_hz = 10000000,
		.cboz_block_bytes = 4096,
		.satp_mode = RISCV_SATP_SV48,
	};
	return 0;
}

static int reset(struct vcpu *vcpu, bool started, uint64_t pc, uint64_t a0, uint64_t a1)
{
	last_reset[vcpu->index % 4] = (struct started){ started, pc, a0, a1 };
	return 0;
}

static void ignore_irq(struct vcpu *vcpu, unsigned line, bool high)
{
}

static const struct riscv_accel_ops riscv_ops = { .cpu_info = cpu_info, .reset = reset };
static const struct accel_ops accel_ops = {
	.name = "fake",
	.irq = ignore_irq,
	.riscv = &riscv_ops,
};
static const struct accel_ops other_ops = { .name = "other", .irq = ignore_irq };

// -- a VM as vm.c makes one --

struct fixture {
	struct vm_config config;
	struct image kernel;
	struct memory memory;
	struct bus mmio;
	struct accel accel;
	struct vcpu_set vcpus;
	struct device_list devices;
	struct loop loop;
	struct machine machine;
};

static void request(void *opaque, enum vcpu_exit what)
{
}

static struct fixture *make(const struct vm_config *config)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->config = *config;
	f->accel.ops = &accel_ops;
	f->vcpus = (struct vcpu_set){
		.vcpus = calloc(config->cpus, sizeof(struct vcpu)),
		.count = config->cpus,
		.accel = &f->accel,
	};
	for (unsigned i = 0; i < config->cpus; i++)
		f->vcpus.vcpus[i].index = i;
	memory_init(&f->memory);
	bus_init(&f->mmio);
	assert_int_equal(loop_init(&f->loop), 0);
	f->machine = (struct machine){
		.ops = &riscv_machine,
		.config = &f->config,
		.kernel = &f->kernel,
		.memory = &f->memory,
		.mmio = &f->mmio,
		.accel = &f->accel,
		.vcpus = &f->vcpus,
		.devices = &f->devices,
		.loop = &f->loop,
		.power = { .request = request },
	};
	assert_int_equal(riscv_machine.probe(&f->config, &accel_ops), 0);
	assert_int_equal(riscv_machine.layout(&f->machine), 0);
	assert_int_equal(riscv_machine.init_irqchip(&f->machine), 0);
	assert_int_equal(riscv_machine.add_platform_devices(&f->machine), 0);
	return f;
}

static void destroy(struct fixture *f)
{
	device_list_free(&f->devices);
	riscv_machine.free(&f->machine);
	loop_exit(&f->loop);
	bus_exit(&f->mmio);
	memory_exit(&f->memory);
	image_close(&f->kernel);
	free(f->vcpus.vcpus);
	free(f);
}

// An Image of 64 KiB that takes @memory_bytes.
static void give_kernel(struct fixture *f, uint64_t memory_bytes)
{
	uint8_t *data = calloc(1, 64 * KIB);
	uint64_t fields[] = { htole64(2 * MIB), htole64(memory_bytes) };

	memcpy(data + 0x08, fields, sizeof(fields));
	memcpy(data + 0x38, "RSC\x05", 4);
	image_close(&f->kernel);
	assert_int_equal(image_parse(&f->kernel, "kernel", data, 64 * KIB), 0);
	free(data);
}

static const char *write_initrd(size_t size)
{
	static char path[] = "/tmp/kvik-test-initrd-XXXXXX";
	int fd;

	strcpy(path + strlen(path) - 6, "XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	assert_int_equal(pwrite(fd, "initrd", 6, 0), 6);
	close(fd);
	return path;
}

static const struct vm_config plain = { .memory_bytes = 64 * MIB, .cpus = 1 };

// -- memory map --

static void assert_apart(uint64_t base, uint64_t size, uint64_t other, uint64_t other_size)
{
	assert_true(base + size <= other || other + other_size <= base);
}

static void test_nothing_overlaps(void **state)
{
	struct vm_config config = plain;
	struct machine_slot slots[RISCV_VIRTIO_SLOTS];
	struct fixture *f;

	config.cpus = RISCV_MAX_HARTS;
	f = make(&config);
	for (unsigned i = 0; i < ARRAY_SIZE(slots); i++) {
		assert_int_equal(riscv_machine.virtio_slot(&f->machine, i, &slots[i]), 0);
		assert_int_equal(slots[i].base % 4096, 0);
		assert_int_equal(slots[i].size_bytes, 4096);
		assert_true(slots[i].base + slots[i].size_bytes <= 0x20000000);
		assert_ptr_equal(slots[i].irq.chip, f->machine.irqchip);
		assert_in_range(slots[i].irq.number, 3, 1023);
		for (unsigned j = 0; j < i; j++) {
			assert_apart(slots[i].base, 4096, slots[j].base, 4096);
			assert_int_not_equal(slots[i].irq.number, slots[j].irq.number);
		}
		for (unsigned j = 0; j < f->mmio.count; j++)
			assert_apart(slots[i].base, 4096, f->mmio.regions[j]->base,
				     f->mmio.regions[j]->size_bytes);
	}
	for (unsigned j = 0; j < f->mmio.count; j++)
		assert_apart(f->mmio.regions[j]->base, f->mmio.regions[j]->size_bytes, 0x20000000,
			     ~0ULL - 0x20000000);
	destroy(f);
}

static void test_slots_end(void **state)
{
	struct fixture *f = make(&plain);
	struct machine_slot slot;

	assert_true(RISCV_VIRTIO_SLOTS >= 256);
	assert_int_equal(riscv_machine.virtio_slot(&f->machine, RISCV_VIRTIO_SLOTS, &slot),
			 -ENOSPC);
	assert_int_equal(riscv_machine.virtio_slot(&f->machine, ~0U, &slot), -ENOSPC);
	destroy(f);
}

static void test_probe(void **state)
{
	struct vm_config config = plain;

	assert_int_equal(riscv_machine.probe(&config, &accel_ops), 0);
	assert_true(riscv_machine.probe(&config, &other_ops) < 0);
	config.cpus = 0;
	assert_true(riscv_machine.probe(&config, &accel_ops) < 0);
	config.cpus = RISCV_MAX_HARTS + 1;
	assert_true(riscv_machine.probe(&config, &accel_ops) < 0);
	config.cpus = RISCV_MAX_HARTS;
	config.memory_bytes = (1ULL << 40) - 2 * GIB;
	assert_int_equal(riscv_machine.probe(&config, &accel_ops), 0);
	config.memory_bytes++;
	assert_true(riscv_machine.probe(&config, &accel_ops) < 0);
	config.memory_bytes = ~0ULL;
	assert_true(riscv_machine.probe(&config, &accel_ops) < 0);
	config.memory_bytes = 0;
	assert_true(riscv_machine.probe(&config, &accel_ops) < 0);
}

// -- ISA string --

static void test_isa_string_is_in_canonical_order(void **state)
{
	static const char *const names[] = {
		"svpbmt", "zba",  "c", "zifencei", "m", "xvendor", "zicsr", "i", "zfh", "zawrs",
		"d",      "sstc", "f", "zacas",    "a", "zvl128b", "zmmul", "v", NULL,
	};
	char text[200];

	assert_int_equal(riscv_isa_string(names, text, sizeof(text)), 0);
	assert_string_equal(text, "rv64imafdcv_zicsr_zifencei_zmmul_zacas_zawrs_zfh_zba_zvl128b"
				  "_sstc_svpbmt_xvendor");
	assert_int_equal(riscv_isa_string(names, text, 20), -ENOSPC);
	assert_int_equal(riscv_isa_string(names + ARRAY_SIZE(names) - 1, text, sizeof(text)), 0);
	assert_string_equal(text, "rv64");
}

// -- loading --

// What a guest sees: RAM at the address in a1.
static const void *loaded_fdt(struct fixture *f)
{
	struct riscv_machine *priv = f->machine.priv;
	size_t size;
	const void *tree = riscv_machine.device_tree(&f->machine, &size);
	const void *in_ram = memory_ptr(&f->memory, priv->boot.fdt_gpa, size);

	assert_non_null(in_ram);
	assert_int_equal(fdt_check_full(in_ram, size), 0);
	assert_memory_equal(in_ram, tree, size);
	return in_ram;
}

static int node_at(const void *fdt, const char *path)
{
	int node = fdt_path_offset(fdt, path);

	if (node < 0)
		fail_msg("no node %s", path);
	return node;
}

static const void *property(const void *fdt, const char *path, const char *name, int len)
{
	int got;
	const void *data = fdt_getprop(fdt, node_at(fdt, path), name, &got);

	if (!data)
		fail_msg("%s has no %s", path, name);
	if (len >= 0)
		assert_int_equal(got, len);
	return data;
}

static uint64_t cells64(const void *fdt, const char *path, const char *name)
{
	return fdt64_ld(property(fdt, path, name, 8));
}

static uint32_t cell(const void *fdt, const char *path, const char *name)
{
	return fdt32_ld(property(fdt, path, name, 4));
}

static void assert_text(const void *fdt, const char *path, const char *name, const char *text)
{
	assert_string_equal(property(fdt, path, name, strlen(text) + 1), text);
}

static void test_layout_keeps_parts_apart(void **state)
{
	const uint64_t footprints[] = { 64 * KIB, MIB + 1, 10 * MIB, 20 * MIB + 4095 };
	const size_t initrds[] = { 6, 4096, 2 * MIB, 9 * MIB + 1 };

	for (unsigned i = 0; i < ARRAY_SIZE(footprints); i++) {
		struct vm_config config = plain;
		struct fixture *f;
		const void *fdt;
		uint64_t start, end, kernel_end = RAM + 2 * MIB + footprints[i];

		config.initrd_path = write_initrd(initrds[i]);
		f = make(&config);
		give_kernel(f, footprints[i]);
		assert_int_equal(riscv_machine.load(&f->machine), 0);
		fdt = loaded_fdt(f);
		start = cells64(fdt, "/chosen", "linux,initrd-start");
		end = cells64(fdt, "/chosen", "linux,initrd-end");
		assert_int_equal(end - start, initrds[i]);
		assert_true(start >= kernel_end);
		assert_int_equal(start % 4096, 0);
		assert_true(((struct riscv_machine *)f->machine.priv)->boot.fdt_gpa >= end);
		assert_int_equal(((struct riscv_machine *)f->machine.priv)->boot.fdt_gpa % 8, 0);
		assert_memory_equal(memory_ptr(&f->memory, start, 6), "initrd", 6);
		destroy(f);
		unlink(config.initrd_path);
	}
}

static void test_what_does_not_fit(void **state)
{
	struct vm_config config = plain;
	struct fixture *f;

	config.memory_bytes = 32 * MIB;
	config.initrd_path = write_initrd(20 * MIB);
	f = make(&config);
	give_kernel(f, 9 * MIB); // 2 + 9 + 20 leave one for the tree, which wants to be aligned
	assert_int_equal(riscv_machine.load(&f->machine), -ENOSPC);
	give_kernel(f, 11 * MIB);
	assert_int_equal(riscv_machine.load(&f->machine), -ENOSPC);
	give_kernel(f, 30 * MIB + 1);
	assert_int_equal(riscv_machine.load(&f->machine), -ENOSPC);
	give_kernel(f, 30 * MIB);
	assert_int_equal(riscv_machine.load(&f->machine), -ENOSPC);
	give_kernel(f, 8 * MIB);
	assert_int_equal(riscv_machine.load(&f->machine), 0);
	// It stays open for the next boot.
	unlink(config.initrd_path);
	assert_int_equal(riscv_machine.load(&f->machine), 0);
	destroy(f);
	f = make(&config);
	give_kernel(f, 8 * MIB);
	assert_int_equal(riscv_machine.load(&f->machine), -ENOENT);
	destroy(f);
}

static void test_vcpus_start_at_the_kernel(void **state)
{
	struct vm_config config = plain;
	struct fixture *f;
	uint64_t fdt_gpa;

	config.cpus = 3;
	f = make(&config);
	give_kernel(f, MIB);
	assert_int_equal(riscv_machine.load(&f->machine), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(riscv_machine.reset_vcpu(&f->machine, &f->vcpus.vcpus[i]), 0);
	fdt_gpa = ((struct riscv_machine *)f->machine.priv)->boot.fdt_gpa;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(last_reset[i].started, i == 0);
		assert_int_equal(last_reset[i].pc, RAM + 2 * MIB);
		assert_int_equal(last_reset[i].a0, i);
		assert_int_equal(last_reset[i].a1, fdt_gpa);
	}
	destroy(f);
}

static void test_reload_has_fresh_seeds(void **state)
{
	struct fixture *f = make(&plain);
	uint64_t kaslr_seed;
	uint8_t seed[32];

	give_kernel(f, MIB);
	assert_int_equal(riscv_machine.load(&f->machine), 0);
	kaslr_seed = cells64(loaded_fdt(f), "/chosen", "kaslr-seed");
	memcpy(seed, property(loaded_fdt(f), "/chosen", "rng-seed", -1), sizeof(seed));
	riscv_machine.reset(&f->machine);
	assert_int_equal(riscv_machine.load(&f->machine), 0);
	assert_true(cells64(loaded_fdt(f), "/chosen", "kaslr-seed") != kaslr_seed);
	assert_true(memcmp(property(loaded_fdt(f), "/chosen", "rng-seed", -1), seed, 32));
	destroy(f);
}

// -- device tree --

static void test_tree_of_a_machine(void **state)
{
	struct vm_config config = plain;
	struct fixture *f;
	const void *fdt;
	const fdt32_t *cells;

	config.cpus = 2;
	config.params = "quiet";
	f = make(&config);
	give_kernel(f, MIB);
	assert_int_equal(riscv_machine.load(&f->machine), 0);
	fdt = loaded_fdt(f);

	assert_text(fdt, "/chosen", "bootargs", "console=ttyS0 earlycon panic=-1 quiet");
	assert_null(fdt_getprop(fdt, node_at(fdt, "/chosen"), "linux,initrd-start", NULL));
	assert_text(fdt, "/aliases", "serial0", "/soc/serial@10000000");
	assert_int_equal(fdt64_ld(property(fdt, "/memory@80000000", "reg", 16)), RAM);
	assert_int_equal(cell(fdt, "/cpus", "timebase-frequency"), 10000000);

	assert_int_equal(cell(fdt, "/cpus/cpu@1", "reg"), 1);
	assert_text(fdt, "/cpus/cpu@1", "riscv,isa", "rv64ima_zicboz_zicsr_sstc");
	assert_text(fdt, "/cpus/cpu@1", "riscv,isa-base", "rv64i");
	assert_memory_equal(property(fdt, "/cpus/cpu@1", "riscv,isa-extensions", 24),
			    "i\0m\0a\0zicsr\0zicboz\0sstc", 24);
	assert_text(fdt, "/cpus/cpu@1", "mmu-type", "riscv,sv48");
	assert_int_equal(cell(fdt, "/cpus/cpu@1", "riscv,cboz-block-size"), 4096);

	cells = property(fdt, "/soc/interrupt-controller@c000000", "interrupts-extended", 16);
	for (unsigned i = 0; i < 2; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/cpus/cpu@%u/interrupt-controller", i);
		assert_int_equal(fdt32_ld(&cells[2 * i]), cell(fdt, path, "phandle"));
		assert_int_equal(fdt32_ld(&cells[2 * i + 1]), 9);
	}
	assert_int_equal(cell(fdt, "/soc/serial@10000000", "interrupt-parent"),
			 cell(fdt, "/soc/interrupt-controller@c000000", "phandle"));
	assert_int_equal(cell(fdt, "/soc/syscon@100000/poweroff", "regmap"),
			 cell(fdt, "/soc/syscon@100000", "phandle"));
	assert_int_equal(cell(fdt, "/soc/syscon@100000/poweroff", "value"), 0x5555);
	assert_int_equal(cell(fdt, "/soc/syscon@100000/reboot", "value"), 0x7777);
	node_at(fdt, "/soc/rtc@101000");
	destroy(f);
}

// The PLIC says how many sources are in use, no more: a guest sets up each.
static void test_tree_counts_interrupts(void **state)
{
	struct fixture *f = make(&plain);
	struct machine_slot slot = { 0 };
	uint32_t before;

	give_kernel(f, MIB);
	assert_int_equal(riscv_machine.load(&f->machine), 0);
	before = cell(loaded_fdt(f), "/soc/interrupt-controller@c000000", "riscv,ndev");
	assert_true(before >= RISCV_IRQ_RTC);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(riscv_machine.virtio_slot(&f->machine, i, &slot), 0);
	assert_int_equal(riscv_machine.load(&f->machine), 0);
	assert_int_equal(cell(loaded_fdt(f), "/soc/interrupt-controller@c000000", "riscv,ndev"),
			 slot.irq.number);
	assert_true(slot.irq.number >= before);
	destroy(f);
}

static void test_tree_with_another_console(void **state)
{
	struct vm_config config = plain;
	struct fixture *f;

	config.console = CONSOLE_VIRTIO;
	f = make(&config);
	give_kernel(f, MIB);
	assert_int_equal(riscv_machine.load(&f->machine), 0);
	assert_null(
		fdt_getprop(loaded_fdt(f), node_at(loaded_fdt(f), "/chosen"), "stdout-path", NULL));
	destroy(f);
}

static void test_tree_of_the_largest_machine(void **state)
{
	struct vm_config config = plain;
	struct fixture *f;
	struct machine_slot slot;

	config.cpus = RISCV_MAX_HARTS;
	f = make(&config);
	give_kernel(f, MIB);
	assert_int_equal(riscv_machine.virtio_slot(&f->machine, RISCV_VIRTIO_SLOTS - 1, &slot), 0);
	assert_int_equal(riscv_machine.load(&f->machine), 0);
	assert_true(fdt_totalsize(loaded_fdt(f)) < 2 * MIB);
	node_at(loaded_fdt(f), "/cpus/cpu@1ff/interrupt-controller");
	property(loaded_fdt(f), "/soc/interrupt-controller@c000000", "interrupts-extended",
		 RISCV_MAX_HARTS * 8);
	destroy(f);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_overlaps),
		TEST(test_slots_end),
		TEST(test_probe),
		TEST(test_isa_string_is_in_canonical_order),
		TEST(test_layout_keeps_parts_apart),
		TEST(test_what_does_not_fit),
		TEST(test_vcpus_start_at_the_kernel),
		TEST(test_reload_has_fresh_seeds),
		TEST(test_tree_of_a_machine),
		TEST(test_tree_counts_interrupts),
		TEST(test_tree_with_another_console),
		TEST(test_tree_of_the_largest_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
