// SPDX-License-Identifier: GPL-2.0-or-later
// The riscv64 machine: memory map, command line, ISA string, loading, device tree.

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
#include "riscv-accel.h"
#include "support-machine.h"

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

static struct machine_fixture *make(const struct vm_config *config)
{
	return machine_fixture_make(&riscv_machine, &accel_ops, config);
}

static void give_kernel(struct machine_fixture *f, uint64_t memory_bytes)
{
	machine_fixture_give_kernel(f, "RSC\x05", 2 * MIB, memory_bytes);
}

static const struct vm_config plain = { .memory_bytes = 64 * MIB, .cpus = 1 };

// -- memory map --

static void test_nothing_overlaps(void **state)
{
	struct vm_config config = plain;
	struct machine_slot slots[RISCV_VIRTIO_SLOTS];
	struct machine_fixture *f;

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
	machine_fixture_free(f);
}

static void test_slots_end(void **state)
{
	struct machine_fixture *f = make(&plain);
	struct machine_slot slot;

	assert_true(RISCV_VIRTIO_SLOTS >= 256);
	assert_int_equal(riscv_machine.virtio_slot(&f->machine, RISCV_VIRTIO_SLOTS, &slot),
			 -ENOSPC);
	assert_int_equal(riscv_machine.virtio_slot(&f->machine, ~0U, &slot), -ENOSPC);
	machine_fixture_free(f);
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
static const void *loaded_fdt(struct machine_fixture *f)
{
	return machine_fixture_tree(f, ((struct riscv_machine *)f->machine.priv)->boot.fdt_gpa);
}

static void test_layout_keeps_parts_apart(void **state)
{
	const uint64_t footprints[] = { 64 * KIB, MIB + 1, 10 * MIB, 20 * MIB + 4095 };
	const size_t initrds[] = { 6, 4096, 2 * MIB, 9 * MIB + 1 };

	for (unsigned i = 0; i < ARRAY_SIZE(footprints); i++) {
		struct vm_config config = plain;
		struct machine_fixture *f;
		const void *fdt;
		uint64_t start, end, kernel_end = RAM + 2 * MIB + footprints[i];

		config.initrd_path = machine_fixture_write_initrd(initrds[i]);
		f = make(&config);
		give_kernel(f, footprints[i]);
		assert_int_equal(riscv_machine.load(&f->machine), 0);
		fdt = loaded_fdt(f);
		start = tree_u64(fdt, "/chosen", "linux,initrd-start");
		end = tree_u64(fdt, "/chosen", "linux,initrd-end");
		assert_int_equal(end - start, initrds[i]);
		assert_true(start >= kernel_end);
		assert_int_equal(start % 4096, 0);
		assert_true(((struct riscv_machine *)f->machine.priv)->boot.fdt_gpa >= end);
		assert_int_equal(((struct riscv_machine *)f->machine.priv)->boot.fdt_gpa % 8, 0);
		assert_memory_equal(memory_ptr(&f->memory, start, 6), "initrd", 6);
		machine_fixture_free(f);
		unlink(config.initrd_path);
	}
}

static void test_what_does_not_fit(void **state)
{
	struct vm_config config = plain;
	struct machine_fixture *f;

	config.memory_bytes = 32 * MIB;
	config.initrd_path = machine_fixture_write_initrd(20 * MIB);
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
	machine_fixture_free(f);
	f = make(&config);
	give_kernel(f, 8 * MIB);
	assert_int_equal(riscv_machine.load(&f->machine), -ENOENT);
	machine_fixture_free(f);
}

static void test_vcpus_start_at_the_kernel(void **state)
{
	struct vm_config config = plain;
	struct machine_fixture *f;
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
	machine_fixture_free(f);
}

static void test_reload_has_fresh_seeds(void **state)
{
	struct machine_fixture *f = make(&plain);
	uint64_t kaslr_seed;
	uint8_t seed[32];

	give_kernel(f, MIB);
	assert_int_equal(riscv_machine.load(&f->machine), 0);
	kaslr_seed = tree_u64(loaded_fdt(f), "/chosen", "kaslr-seed");
	memcpy(seed, tree_property(loaded_fdt(f), "/chosen", "rng-seed", -1), sizeof(seed));
	riscv_machine.reset(&f->machine);
	assert_int_equal(riscv_machine.load(&f->machine), 0);
	assert_true(tree_u64(loaded_fdt(f), "/chosen", "kaslr-seed") != kaslr_seed);
	assert_true(memcmp(tree_property(loaded_fdt(f), "/chosen", "rng-seed", -1), seed, 32));
	machine_fixture_free(f);
}

// -- device tree --

static void test_tree_of_a_machine(void **state)
{
	struct vm_config config = plain;
	struct machine_fixture *f;
	const void *fdt;
	const fdt32_t *cells;

	config.cpus = 2;
	config.params = "quiet";
	f = make(&config);
	give_kernel(f, MIB);
	assert_int_equal(riscv_machine.load(&f->machine), 0);
	fdt = loaded_fdt(f);

	tree_assert_text(fdt, "/chosen", "bootargs",
			 "console=ttyS0 earlycon panic=-1 cryptomgr.notests quiet");
	assert_null(fdt_getprop(fdt, tree_node(fdt, "/chosen"), "linux,initrd-start", NULL));
	tree_assert_text(fdt, "/aliases", "serial0", "/soc/serial@10000000");
	assert_int_equal(fdt64_ld(tree_property(fdt, "/memory@80000000", "reg", 16)), RAM);
	assert_int_equal(tree_u32(fdt, "/cpus", "timebase-frequency"), 10000000);

	assert_int_equal(tree_u32(fdt, "/cpus/cpu@1", "reg"), 1);
	tree_assert_text(fdt, "/cpus/cpu@1", "riscv,isa", "rv64ima_zicboz_zicsr_sstc");
	tree_assert_text(fdt, "/cpus/cpu@1", "riscv,isa-base", "rv64i");
	assert_memory_equal(tree_property(fdt, "/cpus/cpu@1", "riscv,isa-extensions", 24),
			    "i\0m\0a\0zicsr\0zicboz\0sstc", 24);
	tree_assert_text(fdt, "/cpus/cpu@1", "mmu-type", "riscv,sv48");
	assert_int_equal(tree_u32(fdt, "/cpus/cpu@1", "riscv,cboz-block-size"), 4096);

	cells = tree_property(fdt, "/soc/interrupt-controller@c000000", "interrupts-extended", 16);
	for (unsigned i = 0; i < 2; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/cpus/cpu@%u/interrupt-controller", i);
		assert_int_equal(fdt32_ld(&cells[2 * i]), tree_u32(fdt, path, "phandle"));
		assert_int_equal(fdt32_ld(&cells[2 * i + 1]), 9);
	}
	assert_int_equal(tree_u32(fdt, "/soc/serial@10000000", "interrupt-parent"),
			 tree_u32(fdt, "/soc/interrupt-controller@c000000", "phandle"));
	assert_int_equal(tree_u32(fdt, "/soc/syscon@100000/poweroff", "regmap"),
			 tree_u32(fdt, "/soc/syscon@100000", "phandle"));
	assert_int_equal(tree_u32(fdt, "/soc/syscon@100000/poweroff", "value"), 0x5555);
	assert_int_equal(tree_u32(fdt, "/soc/syscon@100000/reboot", "value"), 0x7777);
	tree_node(fdt, "/soc/rtc@101000");
	machine_fixture_free(f);
}

// The PLIC says how many sources are in use, no more: a guest sets up each.
static void test_tree_counts_interrupts(void **state)
{
	struct machine_fixture *f = make(&plain);
	struct machine_slot slot = { 0 };
	uint32_t before;

	give_kernel(f, MIB);
	assert_int_equal(riscv_machine.load(&f->machine), 0);
	before = tree_u32(loaded_fdt(f), "/soc/interrupt-controller@c000000", "riscv,ndev");
	assert_true(before >= RISCV_IRQ_RTC);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(riscv_machine.virtio_slot(&f->machine, i, &slot), 0);
	assert_int_equal(riscv_machine.load(&f->machine), 0);
	assert_int_equal(tree_u32(loaded_fdt(f), "/soc/interrupt-controller@c000000", "riscv,ndev"),
			 slot.irq.number);
	assert_true(slot.irq.number >= before);
	machine_fixture_free(f);
}

static void test_tree_with_another_console(void **state)
{
	struct vm_config config = plain;
	struct machine_fixture *f;

	config.console = CONSOLE_VIRTIO;
	f = make(&config);
	give_kernel(f, MIB);
	assert_int_equal(riscv_machine.load(&f->machine), 0);
	assert_null(fdt_getprop(loaded_fdt(f), tree_node(loaded_fdt(f), "/chosen"), "stdout-path",
				NULL));
	machine_fixture_free(f);
}

static void test_tree_of_the_largest_machine(void **state)
{
	struct vm_config config = plain;
	struct machine_fixture *f;
	struct machine_slot slot;

	config.cpus = RISCV_MAX_HARTS;
	f = make(&config);
	give_kernel(f, MIB);
	assert_int_equal(riscv_machine.virtio_slot(&f->machine, RISCV_VIRTIO_SLOTS - 1, &slot), 0);
	assert_int_equal(riscv_machine.load(&f->machine), 0);
	assert_true(fdt_totalsize(loaded_fdt(f)) < 2 * MIB);
	tree_node(loaded_fdt(f), "/cpus/cpu@1ff/interrupt-controller");
	tree_property(loaded_fdt(f), "/soc/interrupt-controller@c000000", "interrupts-extended",
		      RISCV_MAX_HARTS * 8);
	machine_fixture_free(f);
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
