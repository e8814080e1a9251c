// SPDX-License-Identifier: GPL-2.0-or-later
// The riscv64 machine around an accelerator with an AIA; and what it refuses.

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

#define IMSICS "/soc/interrupt-controller@28000000"
#define APLIC "/soc/interrupt-controller@20000000"
#define PLIC "/soc/interrupt-controller@c000000"

// -- an accelerator with an AIA that remembers --

static struct {
	unsigned ids_max, created, resets;
	int create_error;
	struct riscv_aia_config config;
	unsigned line;
	bool high;
	uint64_t fdt_gpa;
} aia;

static unsigned ids_max(struct accel *accel)
{
	return aia.ids_max;
}

static int create(struct accel *accel, const struct riscv_aia_config *config)
{
	aia.created++;
	aia.config = *config;
	return aia.create_error;
}

static void reset_aia(struct accel *accel)
{
	aia.resets++;
}

static void set_line(struct accel *accel, unsigned number, bool high)
{
	aia.line = number;
	aia.high = high;
}

static int cpu_info(struct vcpu *vcpu, struct riscv_cpu_info *info)
{
	static const char *const extensions[] = { "i", "m", "a", "ssaia", NULL };

	*info = (struct riscv_cpu_info){
		.extensions = extensions,
		.timebase_hz = 10000000,
		.cbom_block_bytes = 64,
		.cbop_block_bytes = 32,
		.satp_mode = RISCV_SATP_SV57,
	};
	return 0;
}

static int reset_hart(struct vcpu *vcpu, bool started, uint64_t pc, uint64_t a0, uint64_t a1)
{
	aia.fdt_gpa = a1;
	return 0;
}

static void ignore_irq(struct vcpu *vcpu, unsigned line, bool high)
{
}

static const struct riscv_aia_ops aia_ops = { ids_max, create, reset_aia, set_line };
static const struct riscv_accel_ops riscv_ops = {
	.cpu_info = cpu_info,
	.reset = reset_hart,
	.aia = &aia_ops,
	.configurable = true,
};
static const struct accel_ops accel_ops = {
	.name = "fake",
	.irq = ignore_irq,
	.riscv = &riscv_ops,
};

static struct machine_fixture *make(const char *irqchip, unsigned cpus, unsigned ids)
{
	struct vm_config config = {
		.memory_bytes = 64 * MIB,
		.cpus = cpus,
		.irqchip = irqchip,
	};

	memset(&aia, 0, sizeof(aia));
	aia.ids_max = ids;
	return machine_fixture_make(&riscv_machine, &accel_ops, &config);
}

static void load(struct machine_fixture *f)
{
	machine_fixture_give_kernel(f, "RSC\x05", 2 * MIB, MIB);
	assert_int_equal(riscv_machine.load(&f->machine), 0);
	assert_int_equal(riscv_machine.reset_vcpu(&f->machine, &f->vcpus.vcpus[0]), 0);
}

static const void *tree(struct machine_fixture *f)
{
	return machine_fixture_tree(f, aia.fdt_gpa);
}

// -- tests --

static void test_nodes(void **state)
{
	static const uint32_t wires[] = { 1, 9, 2, 9, 3, 9 };
	static const uint32_t imsics_reg[] = { 0, 0x28000000, 0, 3 * 0x1000 };
	static const uint32_t aplic_reg[] = { 0, 0x20000000, 0, 0x4000 };
	static const uint32_t level_high[] = { RISCV_IRQ_SERIAL, 4 };
	struct machine_fixture *f = make(NULL, 3, 2047);
	struct machine_slot slot;
	const void *fdt;

	assert_int_equal(riscv_machine.virtio_slot(&f->machine, 1, &slot), 0);
	load(f);
	fdt = tree(f);
	tree_assert_text(fdt, IMSICS, "compatible", "riscv,imsics");
	tree_assert_cells(fdt, IMSICS, "reg", imsics_reg, 4);
	tree_assert_cells(fdt, IMSICS, "interrupts-extended", wires, 6);
	assert_int_equal(tree_u32(fdt, IMSICS, "#interrupt-cells"), 0);
	assert_int_equal(tree_u32(fdt, IMSICS, "#msi-cells"), 0);
	assert_int_equal(tree_u32(fdt, IMSICS, "riscv,num-ids"), 63);
	tree_property(fdt, IMSICS, "msi-controller", 0);
	tree_assert_text(fdt, APLIC, "compatible", "riscv,aplic");
	tree_assert_cells(fdt, APLIC, "reg", aplic_reg, 4);
	assert_int_equal(tree_u32(fdt, APLIC, "#interrupt-cells"), 2);
	assert_int_equal(tree_u32(fdt, APLIC, "riscv,num-sources"), RISCV_IRQ_VIRTIO + 1);
	assert_int_equal(tree_u32(fdt, APLIC, "msi-parent"), tree_u32(fdt, IMSICS, "phandle"));
	tree_assert_cells(fdt, "/soc/serial@10000000", "interrupts", level_high, 2);
	assert_int_equal(tree_u32(fdt, "/soc/serial@10000000", "interrupt-parent"),
			 tree_u32(fdt, APLIC, "phandle"));
	assert_true(fdt_path_offset(fdt, PLIC) < 0);
	assert_int_equal(tree_u32(fdt, "/cpus/cpu@0", "riscv,cbom-block-size"), 64);
	assert_int_equal(tree_u32(fdt, "/cpus/cpu@0", "riscv,cbop-block-size"), 32);
	tree_assert_no(fdt, "/cpus/cpu@0", "riscv,cboz-block-size");
	machine_fixture_free(f);
}

// Once, when the devices are known, and no larger than they need.
static void test_created_once(void **state)
{
	struct machine_fixture *f = make("aia", 2, 2047);
	struct machine_slot slot;

	assert_int_equal(aia.created, 0);
	assert_int_equal(riscv_machine.virtio_slot(&f->machine, 99, &slot), 0);
	load(f);
	assert_int_equal(aia.created, 1);
	assert_int_equal(aia.config.aplic_base, 0x20000000);
	assert_int_equal(aia.config.imsic_base, 0x28000000);
	assert_int_equal(aia.config.sources, RISCV_IRQ_VIRTIO + 99);
	assert_int_equal(aia.config.ids, 127);
	riscv_machine.reset(&f->machine);
	assert_int_equal(aia.resets, 1);
	load(f);
	assert_int_equal(aia.created, 1);
	machine_fixture_free(f);
}

static void test_create_fails(void **state)
{
	struct machine_fixture *f = make("aia", 1, 63);

	machine_fixture_give_kernel(f, "RSC\x05", 2 * MIB, MIB);
	aia.create_error = -EINVAL;
	assert_int_equal(riscv_machine.load(&f->machine), -EINVAL);
	machine_fixture_free(f);
}

static void test_lines(void **state)
{
	struct machine_fixture *f = make(NULL, 1, 255);
	struct machine_slot slot;

	assert_int_equal(riscv_machine.virtio_slot(&f->machine, 2, &slot), 0);
	irq_set(&slot.irq, true);
	assert_int_equal(aia.line, 0); // it does not live yet
	load(f);
	irq_set(&slot.irq, true);
	assert_int_equal(aia.line, RISCV_IRQ_VIRTIO + 2);
	assert_true(aia.high);
	irq_set(&slot.irq, false);
	assert_false(aia.high);
	aia.line = 0;
	f->machine.irqchip->ops->set_line(f->machine.irqchip, 0, true);
	f->machine.irqchip->ops->set_line(f->machine.irqchip, RISCV_IRQ_VIRTIO + 3, true);
	f->machine.irqchip->ops->set_line(f->machine.irqchip, UINT32_MAX, true);
	assert_int_equal(aia.line, 0);
	machine_fixture_free(f);
}

// Few identities: room for few devices.
static void test_slots_end_with_the_identities(void **state)
{
	struct machine_fixture *f = make(NULL, 1, 63);
	struct machine_slot slot;
	unsigned slots = 0;

	while (riscv_machine.virtio_slot(&f->machine, slots, &slot) == 0)
		slots++;
	assert_int_equal(slot.irq.number, 55);
	load(f);
	assert_int_equal(aia.config.sources, 55);
	assert_int_equal(aia.config.ids, 63);
	machine_fixture_free(f);
}

static void test_plic_instead(void **state)
{
	static const struct {
		const char *irqchip;
		unsigned ids;
	} cases[] = { { "plic", 2047 }, { "auto", 0 }, { NULL, 0 } };

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct machine_fixture *f = make(cases[i].irqchip, 1, cases[i].ids);
		const void *fdt;

		load(f);
		fdt = tree(f);
		assert_int_equal(tree_u32(fdt, PLIC, "riscv,ndev"), RISCV_IRQ_VIRTIO - 1);
		assert_true(fdt_path_offset(fdt, APLIC) < 0);
		assert_true(fdt_path_offset(fdt, IMSICS) < 0);
		riscv_machine.reset(&f->machine);
		assert_int_equal(aia.created + aia.resets, 0);
		machine_fixture_free(f);
	}
}

static void test_refused(void **state)
{
	static const struct riscv_accel_ops fixed = { .cpu_info = cpu_info, .reset = reset_hart };
	static const struct accel_ops fixed_ops = { .name = "fixed", .riscv = &fixed };
	static const char *names[] = { "zbb" };
	struct vm_config config = { .memory_bytes = 64 * MIB, .cpus = 1, .irqchip = "gicv3" };

	assert_int_equal(riscv_machine.probe(&config, &accel_ops), -EINVAL);
	config.irqchip = "";
	assert_int_equal(riscv_machine.probe(&config, &accel_ops), -EINVAL);
	config.irqchip = "aia";
	assert_int_equal(riscv_machine.probe(&config, &accel_ops), 0);
	assert_int_equal(riscv_machine.probe(&config, &fixed_ops), -ENOTSUP);
	config.irqchip = NULL;
	config.disabled_isa = (struct name_list){ names, 1 };
	config.marchid = 7;
	assert_int_equal(riscv_machine.probe(&config, &accel_ops), 0);
	assert_int_equal(riscv_machine.probe(&config, &fixed_ops), -EINVAL);
	config.marchid = 0;
	assert_int_equal(riscv_machine.probe(&config, &fixed_ops), -EINVAL);
	config.disabled_isa.count = 0;
	config.disabled_sbi = (struct name_list){ names, 1 };
	assert_int_equal(riscv_machine.probe(&config, &fixed_ops), -EINVAL);
	config.disabled_sbi.count = 0;
	assert_int_equal(riscv_machine.probe(&config, &fixed_ops), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_created_once),
		cmocka_unit_test(test_create_fails),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_slots_end_with_the_identities),
		cmocka_unit_test(test_plic_instead),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
