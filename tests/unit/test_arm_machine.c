// SPDX-License-Identifier: GPL-2.0-or-later
// The arm64 machine: memory map, options, interrupt controllers, loading, device tree.

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

#include "../../arm/arm-machine.h"
#include "support-machine.h"

#include <cmocka.h>

#define RAM 0x80000000ULL
#define GIC_NODE "/soc/interrupt-controller@8000000"

// -- an accelerator that writes down what it is asked for --

struct started {
	bool started;
	uint64_t pc, x0;
};

struct line {
	unsigned number;
	bool high;
};

static struct {
	unsigned gics; // bit n: enum arm_gic n can be had
	bool has_pmu;
	struct arm_gic_config gic;
	bool gic_created;
	unsigned irq_count;
	unsigned starts;
	unsigned gic_resets;
	struct arm_ppi_sink sink;
	uint64_t stolen_time[ARM_MAX_CPUS];
	struct started resets[ARM_MAX_CPUS];
	struct line spi; // the last one driven
	bool irq;        // of vCPU 0
	unsigned spis_driven;
	int fail_start;
} fake;

static bool has_gic(struct accel *accel, enum arm_gic kind)
{
	return fake.gics & 1U << kind;
}

static int create_gic(struct accel *accel, const struct arm_gic_config *config)
{
	fake.gic = *config;
	fake.gic_created = true;
	return 0;
}

static void set_ppi_sink(struct accel *accel, struct arm_ppi_sink sink)
{
	fake.sink = sink;
}

static int start(struct accel *accel, unsigned irq_count)
{
	fake.irq_count = irq_count;
	fake.starts++;
	return fake.fail_start;
}

static int reset_gic(struct accel *accel)
{
	fake.gic_resets++;
	return 0;
}

// As KVM numbers them: 16 vCPUs in each value of Aff1.
static int cpu_info(struct vcpu *vcpu, struct arm_cpu_info *info)
{
	*info = (struct arm_cpu_info){
		.mpidr = (uint64_t)(vcpu->index / 16) << 8 | vcpu->index % 16,
		.has_pmu = fake.has_pmu,
	};
	return 0;
}

static int set_stolen_time(struct vcpu *vcpu, uint64_t gpa)
{
	fake.stolen_time[vcpu->index] = gpa;
	return 0;
}

static int reset(struct vcpu *vcpu, bool started, uint64_t pc, uint64_t x0)
{
	fake.resets[vcpu->index] = (struct started){ started, pc, x0 };
	return 0;
}

static void set_spi(struct accel *accel, unsigned intid, bool high)
{
	fake.spi = (struct line){ intid, high };
	fake.spis_driven++;
}

static void set_input(struct vcpu *vcpu, unsigned line, bool high)
{
	if (vcpu->index == 0 && line == ARM_LINE_IRQ)
		fake.irq = high;
}

static const struct arm_accel_ops arm_ops = {
	.has_gic = has_gic,
	.gic_create = create_gic,
	.set_ppi_sink = set_ppi_sink,
	.start = start,
	.gic_reset = reset_gic,
	.cpu_info = cpu_info,
	.set_stolen_time = set_stolen_time,
	.reset = reset,
	.set_spi = set_spi,
};
static const struct accel_ops accel_ops = { .name = "fake", .irq = set_input, .arm = &arm_ops };
static const struct accel_ops other_ops = { .name = "other" };

#define ALL_GICS ((1U << ARM_GIC_COUNT) - 1)

static int setup(void **state)
{
	memset(&fake, 0, sizeof(fake));
	fake.gics = ALL_GICS;
	return 0;
}

static const struct vm_config plain = { .memory_bytes = 64 * MIB, .cpus = 1 };

static struct machine_fixture *make(const struct vm_config *config)
{
	return machine_fixture_make(&arm_machine, &accel_ops, config);
}

static void give_kernel(struct machine_fixture *f, uint64_t memory_bytes)
{
	machine_fixture_give_kernel(f, "ARM\x64", 0, memory_bytes);
}

static struct arm_machine *priv(struct machine_fixture *f)
{
	return f->machine.priv;
}

// With a kernel of 1 MiB.
static struct machine_fixture *make_loaded(const struct vm_config *config)
{
	struct machine_fixture *f = make(config);

	give_kernel(f, MIB);
	assert_int_equal(arm_machine.load(&f->machine), 0);
	return f;
}

static const void *tree(struct machine_fixture *f)
{
	return machine_fixture_tree(f, priv(f)->boot.fdt_gpa);
}

// -- memory map --

static void test_nothing_overlaps(void **state)
{
	const uint64_t gic_end = ARM_GIC_REDIST_BASE + ARM_MAX_CPUS * ARM_GICV3_REDIST_BYTES;
	struct machine_slot slots[ARM_VIRTIO_SLOTS];
	struct machine_fixture *f = make(&plain);

	for (unsigned i = 0; i < ARRAY_SIZE(slots); i++) {
		assert_int_equal(arm_machine.virtio_slot(&f->machine, i, &slots[i]), 0);
		assert_int_equal(slots[i].base % 4096, 0);
		assert_int_equal(slots[i].size_bytes, 4096);
		assert_ptr_equal(slots[i].irq.chip, f->machine.irqchip);
		assert_in_range(slots[i].irq.number, ARM_IRQ_RTC + 1, 991);
		assert_apart(slots[i].base, 4096, ARM_GIC_DIST_BASE, gic_end - ARM_GIC_DIST_BASE);
		for (unsigned j = 0; j < i; j++) {
			assert_apart(slots[i].base, 4096, slots[j].base, 4096);
			assert_int_not_equal(slots[i].irq.number, slots[j].irq.number);
		}
		for (unsigned j = 0; j < f->mmio.count; j++)
			assert_apart(slots[i].base, 4096, f->mmio.regions[j]->base,
				     f->mmio.regions[j]->size_bytes);
		for (unsigned j = 0; j < f->memory.bank_count; j++)
			assert_apart(slots[i].base, 4096, f->memory.banks[j].base_gpa,
				     f->memory.banks[j].size_bytes);
	}
	machine_fixture_free(f);
}

static void test_gics_blocks_lie_apart(void **state)
{
	const struct {
		uint64_t base, size;
	} blocks[] = {
		{ ARM_GIC_DIST_BASE, ARM_GICV3_DIST_BYTES },
		{ ARM_GIC_CPU_BASE, ARM_GICV2_CPU_BYTES },
		{ ARM_GIC_ITS_BASE, ARM_GICV3_ITS_BYTES },
		{ ARM_GIC_REDIST_BASE, ARM_MAX_CPUS * ARM_GICV3_REDIST_BYTES },
		{ ARM_STOLEN_TIME_BASE, ARM_STOLEN_TIME_BYTES },
		{ ARM_RTC_BASE, PL031_SIZE },
		{ ARM_SERIAL_BASE, SERIAL_SIZE },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(blocks); i++)
		for (unsigned j = 0; j < i; j++)
			assert_apart(blocks[i].base, blocks[i].size, blocks[j].base,
				     blocks[j].size);
	// What KVM asks for.
	assert_int_equal(ARM_GIC_DIST_BASE % (64 * KIB), 0);
	assert_int_equal(ARM_GIC_REDIST_BASE % (64 * KIB), 0);
	assert_int_equal(ARM_GIC_ITS_BASE % (64 * KIB), 0);
	assert_int_equal(ARM_GIC_CPU_BASE % (4 * KIB), 0);
}

static void test_slots_end(void **state)
{
	struct machine_fixture *f = make(&plain);
	struct machine_slot slot;

	assert_int_equal(arm_machine.virtio_slot(&f->machine, ARM_VIRTIO_SLOTS, &slot), -ENOSPC);
	assert_int_equal(arm_machine.virtio_slot(&f->machine, ~0U, &slot), -ENOSPC);
	machine_fixture_free(f);
}

static void test_stolen_time_has_ram_of_its_own(void **state)
{
	struct vm_config config = plain;
	struct machine_fixture *f;

	config.cpus = 3;
	f = make(&config);
	assert_non_null(memory_ptr(&f->memory, ARM_STOLEN_TIME_BASE, ARM_STOLEN_TIME_BYTES));
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(fake.stolen_time[i], ARM_STOLEN_TIME_BASE + 64 * i);
	machine_fixture_free(f);

	config.no_pvtime = true;
	memset(fake.stolen_time, 0, sizeof(fake.stolen_time));
	f = make(&config);
	assert_null(memory_ptr(&f->memory, ARM_STOLEN_TIME_BASE, 1));
	assert_int_equal(fake.stolen_time[0], 0);
	machine_fixture_free(f);
}

// -- options --

static int probe(const struct vm_config *config)
{
	return arm_machine.probe(config, &accel_ops);
}

static void test_probe_of_sizes(void **state)
{
	struct vm_config config = plain;

	assert_int_equal(probe(&config), 0);
	assert_int_equal(arm_machine.probe(&config, &other_ops), -ENOTSUP);
	config.cpus = 0;
	assert_int_equal(probe(&config), -EINVAL);
	config.cpus = ARM_MAX_CPUS;
	assert_int_equal(probe(&config), 0);
	config.cpus++;
	assert_int_equal(probe(&config), -EINVAL);
	config.cpus = 1;
	config.memory_bytes = (1ULL << 48) - 2 * GIB;
	assert_int_equal(probe(&config), 0);
	config.memory_bytes++;
	assert_int_equal(probe(&config), -EINVAL);
	config.memory_bytes = 0;
	assert_int_equal(probe(&config), -EINVAL);
}

static void test_probe_of_vector_lengths(void **state)
{
	struct vm_config config = plain;

	for (config.sve_max_vl = 0; config.sve_max_vl <= 2048; config.sve_max_vl += 128)
		assert_int_equal(probe(&config), 0);
	config.sve_max_vl = 2048 + 128;
	assert_int_equal(probe(&config), -EINVAL);
	config.sve_max_vl = 200;
	assert_int_equal(probe(&config), -EINVAL);
}

static void test_probe_of_irqchips(void **state)
{
	static const char *const names[] = { NULL, "auto", "gicv3", "gicv3-its", "gicv2", "user" };
	static const char *const wrong[] = { "", "plic", "gicv2m", "gicv3 ", "GICV3", "kernel" };
	struct vm_config config = plain;

	config.cpus = ARM_GICV2_MAX_CPUS;
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		config.irqchip = names[i];
		assert_int_equal(probe(&config), 0);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		config.irqchip = wrong[i];
		assert_int_equal(probe(&config), -EINVAL);
	}
	config.cpus++;
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		config.irqchip = names[i];
		assert_int_equal(probe(&config), i < 4 ? 0 : -EINVAL);
	}
}

// -- interrupt controllers --

#define BIT_OF(kind) (1U << (kind))

static enum arm_gic chosen(const char *name, unsigned gics)
{
	struct vm_config config = plain;
	struct machine_fixture *f;
	enum arm_gic kind;

	fake.gics = gics;
	config.irqchip = name;
	f = make(&config);
	kind = priv(f)->irqchip.kind;
	machine_fixture_free(f);
	return kind;
}

static void test_auto_takes_the_best_there_is(void **state)
{
	assert_int_equal(chosen(NULL, ALL_GICS), ARM_GIC_V3);
	assert_int_equal(chosen("auto", ALL_GICS), ARM_GIC_V3);
	assert_int_equal(chosen("auto", BIT_OF(ARM_GIC_V2) | BIT_OF(ARM_GIC_USER)), ARM_GIC_V2);
	assert_int_equal(chosen("auto", BIT_OF(ARM_GIC_USER)), ARM_GIC_USER);
}

static void test_a_named_one_is_taken(void **state)
{
	assert_int_equal(chosen("gicv3", ALL_GICS), ARM_GIC_V3);
	assert_int_equal(chosen("gicv3-its", ALL_GICS), ARM_GIC_V3_ITS);
	assert_int_equal(chosen("gicv2", ALL_GICS), ARM_GIC_V2);
	assert_int_equal(fake.gic.kind, ARM_GIC_V2);
	assert_int_equal(fake.gic.dist_base, ARM_GIC_DIST_BASE);
	fake.gic_created = false;
	assert_int_equal(chosen("user", ALL_GICS), ARM_GIC_USER);
	assert_false(fake.gic_created);
	assert_non_null(fake.sink.set_ppi);
}

// By hand, since the fixture wants each step to succeed.
static int create_irqchip(const char *name, unsigned cpus)
{
	struct vm_config config = plain;
	struct machine_fixture *f;
	unsigned gics = fake.gics;
	int rc;

	config.cpus = cpus;
	fake.gics = ALL_GICS;
	f = make(&config);
	fake.gics = gics;
	f->config.irqchip = name;
	rc = arm_machine.init_irqchip(&f->machine);
	machine_fixture_free(f);
	return rc;
}

static void test_what_the_accelerator_lacks(void **state)
{
	fake.gics = BIT_OF(ARM_GIC_V3) | BIT_OF(ARM_GIC_USER);
	assert_int_equal(create_irqchip("gicv3", 1), 0);
	assert_int_equal(create_irqchip("gicv2", 1), -ENOTSUP);
	assert_int_equal(create_irqchip("gicv3-its", 1), -ENOTSUP);
	fake.gics = 0;
	assert_int_equal(create_irqchip(NULL, 1), -ENOTSUP);
	assert_int_equal(create_irqchip("user", 1), -ENOTSUP);
	fake.gics = BIT_OF(ARM_GIC_V2) | BIT_OF(ARM_GIC_USER);
	assert_int_equal(create_irqchip("auto", 8), 0);
	assert_int_equal(create_irqchip("auto", 9), -ENOTSUP);
}

static void test_lines_of_the_accelerators_gic(void **state)
{
	struct machine_fixture *f = make(&plain);
	struct irq_line line = { f->machine.irqchip, ARM_IRQ_RTC };
	uint32_t cells[4];

	irq_set(&line, false); // a device that is made: there is no GIC yet
	assert_int_equal(fake.spis_driven, 0);
	give_kernel(f, MIB);
	assert_int_equal(arm_machine.load(&f->machine), 0);
	irq_set(&line, true);
	assert_int_equal(fake.spi.number, 33);
	assert_true(fake.spi.high);
	irq_set(&line, false);
	assert_false(fake.spi.high);
	assert_int_equal(fake.spis_driven, 2);
	assert_int_equal(line.chip->ops->fdt_interrupt(line.chip, line.number, false, cells), 3);
	assert_int_equal(cells[0], 0);
	assert_int_equal(cells[1], 1);
	assert_int_equal(cells[2], 4);
	line.chip->ops->fdt_interrupt(line.chip, line.number, true, cells);
	assert_int_equal(cells[2], 1);
	machine_fixture_free(f);
}

static void test_gic_has_what_is_in_use(void **state)
{
	struct machine_fixture *f = make(&plain);
	struct machine_slot slot;

	for (unsigned i = 0; i < 29; i++)
		assert_int_equal(arm_machine.virtio_slot(&f->machine, i, &slot), 0);
	give_kernel(f, MIB);
	assert_int_equal(arm_machine.load(&f->machine), 0);
	assert_int_equal(fake.irq_count, 96); // 32, 4 and 29, by 32
	// A reboot starts nothing anew.
	arm_machine.reset(&f->machine);
	assert_int_equal(arm_machine.load(&f->machine), 0);
	assert_int_equal(fake.starts, 1);
	assert_int_equal(fake.gic_resets, 1);
	machine_fixture_free(f);

	f = make_loaded(&plain);
	assert_int_equal(fake.irq_count, 64);
	machine_fixture_free(f);
}

static void test_a_gic_that_does_not_start(void **state)
{
	struct machine_fixture *f = make(&plain);

	give_kernel(f, MIB);
	fake.fail_start = -EBUSY;
	assert_int_equal(arm_machine.load(&f->machine), -EBUSY);
	machine_fixture_free(f);
}

static void mmio_write(struct machine_fixture *f, uint64_t gpa, uint32_t value)
{
	assert_int_equal(vcpu_mmio(&f->vcpus.vcpus[0], gpa, &value, sizeof(value), true), 0);
}

// The user's GIC: a device's line and the accelerator's timer reach the vCPU's input.
static void test_the_gic_in_user_space(void **state)
{
	struct vm_config config = plain;
	struct machine_fixture *f;
	struct irq_line line;

	config.irqchip = "user";
	f = make_loaded(&config);
	assert_int_equal(fake.starts, 1);
	mmio_write(f, ARM_GIC_DIST_BASE, 1);
	mmio_write(f, ARM_GIC_CPU_BASE, 1);
	mmio_write(f, ARM_GIC_CPU_BASE + 4, 0xff);         // PMR
	mmio_write(f, ARM_GIC_DIST_BASE + 0x100, 1 << 27); // ISENABLER0: the timer
	mmio_write(f, ARM_GIC_DIST_BASE + 0x104, 1 << 1);  // the clock
	mmio_write(f, ARM_GIC_DIST_BASE + 0x820, 1 << 8);  // ITARGETSR8

	fake.sink.set_ppi(fake.sink.opaque, &f->vcpus.vcpus[0], ARM_INTID_VIRT_TIMER, true);
	assert_true(fake.irq);
	fake.sink.set_ppi(fake.sink.opaque, &f->vcpus.vcpus[0], ARM_INTID_VIRT_TIMER, false);
	assert_false(fake.irq);
	line = (struct irq_line){ f->machine.irqchip, ARM_IRQ_RTC };
	irq_set(&line, true);
	assert_true(fake.irq);
	arm_machine.reset(&f->machine);
	assert_false(fake.irq);
	assert_int_equal(fake.spis_driven, 0);
	assert_int_equal(fake.gic_resets, 0);
	machine_fixture_free(f);
}

// -- loading --

static void test_layout_keeps_parts_apart(void **state)
{
	const uint64_t footprints[] = { 64 * KIB, MIB + 1, 10 * MIB, 20 * MIB + 4095 };
	const uint64_t initrds[] = { 6, 4096, 2 * MIB - 1, 2 * MIB, 9 * MIB + 1 };

	for (unsigned i = 0; i < ARRAY_SIZE(footprints); i++) {
		struct vm_config config = plain;
		struct machine_fixture *f;
		uint64_t start_gpa, end_gpa;

		config.initrd_path = machine_fixture_write_initrd(initrds[i]);
		f = make(&config);
		give_kernel(f, footprints[i]);
		assert_int_equal(arm_machine.load(&f->machine), 0);
		start_gpa = tree_u64(tree(f), "/chosen", "linux,initrd-start");
		end_gpa = tree_u64(tree(f), "/chosen", "linux,initrd-end");
		assert_int_equal(end_gpa - start_gpa, initrds[i]);
		assert_true(start_gpa >= RAM + footprints[i]);
		assert_true(priv(f)->boot.fdt_gpa >= end_gpa);
		// booting.rst: 8 bytes; ours does not cross a 2 MiB boundary either.
		assert_int_equal(priv(f)->boot.fdt_gpa % (64 * KIB), 0);
		assert_int_equal(priv(f)->boot.fdt_gpa / (2 * MIB),
				 (priv(f)->boot.fdt_gpa + priv(f)->boot.fdt_bytes - 1) / (2 * MIB));
		assert_memory_equal(memory_ptr(&f->memory, start_gpa, 6), "initrd", 6);
		machine_fixture_free(f);
		unlink(config.initrd_path);
	}
}

static void test_kernel_lies_where_it_asks_to(void **state)
{
	const uint64_t offsets[] = { 0, 0x80000, 2 * MIB };

	for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++) {
		struct machine_fixture *f = make(&plain);

		machine_fixture_give_kernel(f, "ARM\x64", offsets[i], MIB);
		assert_int_equal(arm_machine.load(&f->machine), 0);
		assert_int_equal(priv(f)->boot.entry_gpa, RAM + offsets[i]);
		assert_memory_equal(memory_ptr(&f->memory, RAM + offsets[i] + 0x38, 4), "ARM\x64",
				    4);
		machine_fixture_free(f);
	}
}

// A zImage of 64 KiB.
static void give_zimage(struct machine_fixture *f)
{
	uint8_t *data = calloc(1, 64 * KIB);
	const uint32_t fields[] = { htole32(0x016f2818), 0, htole32(64 * KIB) };

	memcpy(data + 0x24, fields, sizeof(fields));
	image_close(&f->kernel);
	assert_int_equal(image_parse(&f->kernel, "zImage", data, 64 * KIB), 0);
	free(data);
}

static void test_32_bit_kernels_and_cpus_go_together(void **state)
{
	struct vm_config config = plain;
	struct machine_fixture *f;

	config.memory_bytes = 256 * MIB;
	config.cpus = 2;
	config.kernel_path = "kernel";
	f = make(&config);
	f->config.aarch32 = true;
	give_kernel(f, MIB);
	assert_int_equal(arm_machine.layout(&f->machine), -EINVAL);
	f->config.aarch32 = false;
	give_zimage(f);
	assert_int_equal(arm_machine.layout(&f->machine), -EINVAL);

	f->config.aarch32 = true;
	assert_int_equal(arm_machine.load(&f->machine), 0);
	// Room below for what it unpacks; all of it within 128 MiB (arm/booting.rst).
	assert_in_range(priv(f)->boot.entry_gpa, RAM + 32 * MIB, RAM + 96 * MIB);
	assert_true(priv(f)->boot.fdt_gpa >= priv(f)->boot.entry_gpa + 64 * KIB + 64 * KIB);
	assert_int_equal(tree_u32(tree(f), "/cpus", "#address-cells"), 1);
	assert_int_equal(tree_u32(tree(f), "/cpus/cpu@1", "reg"), 1);
	tree_assert_sound(tree(f));
	machine_fixture_free(f);
}

static void test_what_does_not_fit(void **state)
{
	struct vm_config config = plain;
	struct machine_fixture *f;

	config.memory_bytes = 32 * MIB;
	config.initrd_path = machine_fixture_write_initrd(20 * MIB);
	f = make(&config);
	give_kernel(f, 11 * MIB); // with 20 that leaves one for the tree, which wants two
	assert_int_equal(arm_machine.load(&f->machine), -ENOSPC);
	give_kernel(f, 13 * MIB);
	assert_int_equal(arm_machine.load(&f->machine), -ENOSPC);
	give_kernel(f, 32 * MIB + 1);
	assert_int_equal(arm_machine.load(&f->machine), -ENOSPC);
	give_kernel(f, 10 * MIB);
	assert_int_equal(arm_machine.load(&f->machine), 0);
	machine_fixture_free(f);
	unlink(config.initrd_path);
}

static void test_vcpus_start_at_the_kernel(void **state)
{
	struct vm_config config = plain;
	struct machine_fixture *f;

	config.cpus = 3;
	f = make_loaded(&config);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(arm_machine.reset_vcpu(&f->machine, &f->vcpus.vcpus[i]), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(fake.resets[i].started, i == 0);
	assert_int_equal(fake.resets[0].pc, RAM);
	assert_int_equal(fake.resets[0].x0, priv(f)->boot.fdt_gpa);
	machine_fixture_free(f);
}

static void test_seeds(void **state)
{
	struct vm_config config = plain;
	struct machine_fixture *f = make_loaded(&config);
	uint64_t first = tree_u64(tree(f), "/chosen", "kaslr-seed");
	uint8_t rng_seed[64];

	memcpy(rng_seed, tree_property(tree(f), "/chosen", "rng-seed", 64), 64);
	assert_int_equal(arm_machine.load(&f->machine), 0);
	assert_true(tree_u64(tree(f), "/chosen", "kaslr-seed") != first);
	assert_memory_not_equal(tree_property(tree(f), "/chosen", "rng-seed", 64), rng_seed, 64);
	machine_fixture_free(f);

	config.kaslr_seed = 0x123456789abcdef0;
	f = make_loaded(&config);
	assert_int_equal(tree_u64(tree(f), "/chosen", "kaslr-seed"), 0x123456789abcdef0);
	machine_fixture_free(f);
}

// -- device tree --

static void test_tree_of_a_machine(void **state)
{
	const uint32_t timers[] = { 1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4 };
	const uint32_t gic[] = { 0, 0x08000000, 0, 0x10000, 0, 0x08100000, 0, 0x40000 };
	const uint32_t memory[] = { 0, 0x80000000, 0, 64 * MIB };
	const uint32_t serial_irq[] = { 0, 0, 4 };
	struct vm_config config = plain;
	struct machine_fixture *f;
	const void *fdt;

	config.cpus = 2;
	config.params = "quiet";
	f = make_loaded(&config);
	fdt = tree(f);
	tree_assert_text(fdt, "/chosen", "bootargs",
			 "console=ttyS0 earlycon panic=-1 cryptomgr.notests quiet");
	tree_assert_text(fdt, "/chosen", "stdout-path", "serial0:115200n8");
	tree_assert_no(fdt, "/chosen", "linux,initrd-start");
	tree_assert_text(fdt, "/aliases", "serial0", "/soc/serial@10000000");
	tree_assert_cells(fdt, "/memory@80000000", "reg", memory, 4);
	assert_true(fdt_path_offset(fdt, "/memory@1000000") < 0); // stolen time
	tree_assert_text(fdt, "/cpus/cpu@1", "enable-method", "psci");
	assert_int_equal(tree_u64(fdt, "/cpus/cpu@1", "reg"), 1);
	tree_assert_text(fdt, "/psci", "method", "hvc");
	assert_memory_equal(tree_property(fdt, "/psci", "compatible", 26),
			    "arm,psci-1.0\0arm,psci-0.2", 26);
	tree_assert_cells(fdt, "/timer", "interrupts", timers, ARRAY_SIZE(timers));
	tree_property(fdt, "/timer", "always-on", 0);
	tree_assert_text(fdt, GIC_NODE, "compatible", "arm,gic-v3");
	tree_assert_cells(fdt, GIC_NODE, "reg", gic, ARRAY_SIZE(gic));
	assert_int_equal(tree_u32(fdt, "/", "interrupt-parent"),
			 tree_u32(fdt, GIC_NODE, "phandle"));
	tree_assert_cells(fdt, "/soc/serial@10000000", "interrupts", serial_irq, 3);
	assert_int_equal(tree_u32(fdt, "/soc/rtc@101000", "clocks"),
			 tree_u32(fdt, "/apb-pclk", "phandle"));
	assert_true(fdt_path_offset(fdt, "/pmu") < 0);
	machine_fixture_free(f);
}

static void test_tree_of_a_gicv2(void **state)
{
	static const char *const names[] = { "gicv2", "user" };
	const uint32_t gic[] = { 0, 0x08000000, 0, 0x1000, 0, 0x08010000, 0, 0x2000 };
	const uint32_t pmu[] = { 1, 7, 0x304 }; // for both CPUs
	struct vm_config config = plain;

	config.cpus = 2;
	fake.has_pmu = true;
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		struct machine_fixture *f;

		config.irqchip = names[i];
		f = make_loaded(&config);
		tree_assert_cells(tree(f), GIC_NODE, "reg", gic, ARRAY_SIZE(gic));
		assert_int_equal(tree_u32(tree(f), GIC_NODE, "#interrupt-cells"), 3);
		tree_assert_cells(tree(f), "/pmu", "interrupts", pmu, ARRAY_SIZE(pmu));
		machine_fixture_free(f);
	}
}

static void test_tree_of_an_its(void **state)
{
	const uint32_t its[] = { 0, 0x08080000, 0, 0x20000 };
	const char *node = GIC_NODE "/msi-controller@8080000";
	struct vm_config config = plain;
	struct machine_fixture *f;

	config.irqchip = "gicv3-its";
	f = make_loaded(&config);
	tree_assert_cells(tree(f), node, "reg", its, ARRAY_SIZE(its));
	tree_assert_text(tree(f), node, "compatible", "arm,gic-v3-its");
	assert_int_equal(fake.gic.its_base, 0x08080000);
	machine_fixture_free(f);
}

static void test_dtc_takes_each_tree(void **state)
{
	static const char *const names[] = { "gicv3", "gicv3-its", "gicv2", "user" };
	struct vm_config config = plain;

	fake.has_pmu = true;
	config.cpus = 3;
	config.initrd_path = machine_fixture_write_initrd(6);
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		struct machine_fixture *f;

		config.irqchip = names[i];
		f = make_loaded(&config);
		tree_assert_sound(tree(f));
		machine_fixture_free(f);
	}
	unlink(config.initrd_path);
}

static void test_tree_with_another_console(void **state)
{
	struct vm_config config = plain;
	struct machine_fixture *f;

	config.console = CONSOLE_VIRTIO;
	f = make_loaded(&config);
	tree_assert_no(tree(f), "/chosen", "stdout-path");
	machine_fixture_free(f);
}

static void test_tree_of_the_largest_machine(void **state)
{
	struct vm_config config = plain;
	struct machine_fixture *f;
	struct machine_slot slot;

	config.cpus = ARM_MAX_CPUS;
	f = make(&config);
	give_kernel(f, MIB);
	assert_int_equal(arm_machine.virtio_slot(&f->machine, ARM_VIRTIO_SLOTS - 1, &slot), 0);
	assert_int_equal(arm_machine.load(&f->machine), 0);
	assert_true(fdt_totalsize(tree(f)) < 2 * MIB);
	tree_node(tree(f), "/cpus/cpu@1f0f");
	assert_int_equal(fake.irq_count, 576);
	machine_fixture_free(f);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_overlaps),
		TEST(test_gics_blocks_lie_apart),
		TEST(test_slots_end),
		TEST(test_stolen_time_has_ram_of_its_own),
		TEST(test_probe_of_sizes),
		TEST(test_probe_of_vector_lengths),
		TEST(test_probe_of_irqchips),
		TEST(test_auto_takes_the_best_there_is),
		TEST(test_a_named_one_is_taken),
		TEST(test_what_the_accelerator_lacks),
		TEST(test_lines_of_the_accelerators_gic),
		TEST(test_gic_has_what_is_in_use),
		TEST(test_a_gic_that_does_not_start),
		TEST(test_the_gic_in_user_space),
		TEST(test_layout_keeps_parts_apart),
		TEST(test_kernel_lies_where_it_asks_to),
		TEST(test_32_bit_kernels_and_cpus_go_together),
		TEST(test_what_does_not_fit),
		TEST(test_vcpus_start_at_the_kernel),
		TEST(test_seeds),
		TEST(test_tree_of_a_machine),
		TEST(test_tree_of_a_gicv2),
		TEST(test_tree_of_an_its),
		TEST(test_dtc_takes_each_tree),
		TEST(test_tree_with_another_console),
		TEST(test_tree_of_the_largest_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
