// SPDX-License-Identifier: GPL-2.0-or-later
// The x86-64 machine: memory map, options, ports, interrupt lines, reset.

#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../x86/x86-machine.h"
#include "bus-access.h"
#include "support-machine.h"

#include <cmocka.h>

// -- an accelerator that writes down what it is asked for --

static struct {
	bool high[X86_GSI_COUNT];
	unsigned gsis_driven;
	uint32_t level_gsis;
	unsigned irqchip_resets;
	struct x86_entry entries[X86_MAX_CPUS];
	bool entered[X86_MAX_CPUS];
	int fail_reset;
	unsigned messages;
	void (*ended)(void *opaque, uint8_t vector);
	void *ended_opaque;
} fake;

static int reset_vcpu(struct vcpu *vcpu, const struct x86_entry *entry)
{
	fake.entered[vcpu->index] = entry;
	if (entry)
		fake.entries[vcpu->index] = *entry;
	return 0;
}

static int reset_irqchip(struct accel *accel, uint32_t level_gsis)
{
	fake.level_gsis = level_gsis;
	fake.irqchip_resets++;
	return fake.fail_reset;
}

static void set_gsi(struct accel *accel, unsigned gsi, bool high)
{
	assert_in_range(gsi, 0, X86_GSI_COUNT - 1);
	fake.high[gsi] = high;
	fake.gsis_driven++;
}

static const struct x86_accel_ops x86_ops = {
	.reset_vcpu = reset_vcpu,
	.reset_irqchip = reset_irqchip,
	.set_gsi = set_gsi,
};
static const struct accel_ops accel_ops = { .name = "fake", .x86 = &x86_ops };
static const struct accel_ops other_ops = { .name = "other" };

static void send_message(struct accel *accel, struct x86_message message)
{
	fake.messages++;
}

static void set_levels(struct accel *accel, const struct x86_message *levels, unsigned count)
{
}

static void on_end(struct accel *accel, void (*ended)(void *opaque, uint8_t vector), void *opaque)
{
	fake.ended = ended;
	fake.ended_opaque = opaque;
}

static const struct x86_accel_ops x86_split_ops = {
	.reset_vcpu = reset_vcpu,
	.reset_irqchip = reset_irqchip,
	.set_gsi = set_gsi,
	.send_message = send_message,
	.set_levels = set_levels,
	.on_end = on_end,
};
static const struct accel_ops split_ops = { .name = "fake", .x86 = &x86_split_ops };

static const struct vm_config plain = { .memory_bytes = 64 * MIB, .cpus = 2 };

static int setup(void **state)
{
	memset(&fake, 0, sizeof(fake));
	*state = machine_fixture_make(&x86_machine, &accel_ops, &plain);
	return 0;
}

static int teardown(void **state)
{
	machine_fixture_free(*state);
	return 0;
}

// -- options --

static void assert_refused(struct vm_config config, int error)
{
	assert_int_equal(x86_machine.probe(&config, &accel_ops), -error);
}

static void test_probe(void **state)
{
	struct vm_config config = plain;

	assert_int_equal(x86_machine.probe(&plain, &other_ops), -ENOTSUP);
	assert_int_equal(x86_machine.probe(&plain, &accel_ops), 0);
	config.cpus = 64;
	assert_int_equal(x86_machine.probe(&config, &accel_ops), 0);
	config.cpus = 65;
	assert_refused(config, EINVAL);
	config.cpus = 0;
	assert_refused(config, EINVAL);
	config = plain;
	config.memory_bytes = 15 * MIB;
	assert_refused(config, EINVAL);
	config.memory_bytes = X86_RAM_MAX_BYTES;
	assert_int_equal(x86_machine.probe(&config, &accel_ops), 0);
	config.memory_bytes += 4 * KIB;
	assert_refused(config, EINVAL);
	config = plain;
	config.dump_dtb_path = "/dev/null";
	assert_refused(config, EINVAL);
}

static void test_irqchips(void **state)
{
	struct vm_config config = plain;

	config.irqchip = "auto";
	assert_int_equal(x86_machine.probe(&config, &accel_ops), 0);
	config.irqchip = "kernel";
	assert_int_equal(x86_machine.probe(&config, &accel_ops), 0);
	config.irqchip = "split"; // which this accelerator has not
	assert_refused(config, ENOTSUP);
	assert_int_equal(x86_machine.probe(&config, &split_ops), 0);
	config.irqchip = "aia";
	assert_refused(config, EINVAL);
	config.irqchip = "";
	assert_refused(config, EINVAL);
}

// -- memory map --

static void test_ram_below_the_gap(void **state)
{
	struct machine_fixture *f = *state;

	assert_int_equal(f->memory.bank_count, 1);
	assert_int_equal(f->memory.banks[0].base_gpa, 0);
	assert_int_equal(f->memory.banks[0].size_bytes, 64 * MIB);
}

static void test_ram_above_the_gap(void **state)
{
	struct vm_config config = plain;
	struct machine_fixture *f;

	config.memory_bytes = 5 * GIB;
	f = machine_fixture_make(&x86_machine, &accel_ops, &config);
	assert_int_equal(f->memory.bank_count, 2);
	assert_int_equal(f->memory.banks[0].size_bytes, 3 * GIB);
	assert_int_equal(f->memory.banks[1].base_gpa, 4 * GIB);
	assert_int_equal(f->memory.banks[1].size_bytes, 2 * GIB);
	machine_fixture_free(f);
}

static void test_slots_lie_apart(void **state)
{
	struct machine_fixture *f = *state;
	struct machine_slot slot, last = { 0 };

	for (unsigned i = 0; i < X86_VIRTIO_SLOTS; i++) {
		assert_int_equal(x86_machine.virtio_slot(&f->machine, i, &slot), 0);
		assert_int_equal(slot.base % 4096, 0);
		assert_int_equal(slot.size_bytes, 4096);
		assert_true(slot.base >= last.base + last.size_bytes);
		assert_in_range(slot.base, X86_RAM_GAP_BASE, X86_ECAM_BASE - 4096);
		assert_int_equal(slot.base, x86_virtio_place(i).base);
		assert_int_equal(slot.irq.number, x86_virtio_place(i).gsi);
		last = slot;
	}
	assert_int_equal(x86_machine.virtio_slot(&f->machine, X86_VIRTIO_SLOTS, &slot), -ENOSPC);
	assert_int_equal(((struct x86_machine *)f->machine.priv)->virtio_slots, X86_VIRTIO_SLOTS);
}

// -- interrupts --

static struct irq_line slot_line(struct machine_fixture *f, unsigned index)
{
	struct machine_slot slot;

	assert_int_equal(x86_machine.virtio_slot(&f->machine, index, &slot), 0);
	return slot.irq;
}

static void test_devices_get_gsis_of_their_own(void **state)
{
	// Timer, cascade, serial ports, clock, FPU, power button.
	uint32_t taken = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 8 | 1 << 13 |
			 1 << X86_GSI_POWER_BUTTON;
	unsigned legacy = 0;

	for (unsigned i = 0; i < 16; i++) {
		struct irq_line line = slot_line(*state, i);
		unsigned gsi = line.number;

		assert_in_range(gsi, 0, X86_GSI_COUNT - 1);
		assert_int_equal(taken >> gsi & 1, 0);
		taken |= 1U << gsi;
		// The 8259s reach only the first ones: they come first.
		legacy += gsi < 16;
		assert_true(gsi >= 16 || legacy == i + 1);
		assert_true(line.edge);
	}
	assert_int_equal(taken, (1 << X86_GSI_COUNT) - 1);
	// The 8259s must know of those that have levels.
	assert_int_equal(fake.level_gsis, 1 << X86_GSI_SERIAL_ODD | 1 << X86_GSI_SERIAL_EVEN);
}

// A serial port says it with each access.
static void test_a_level_is_told_once(void **state)
{
	struct machine_fixture *f = *state;
	struct irq_line line = { f->machine.irqchip, X86_GSI_SERIAL_ODD };

	irq_set(&line, false);
	assert_int_equal(fake.gsis_driven, 0);
	irq_set(&line, true);
	irq_set(&line, true);
	assert_true(fake.high[line.number]);
	irq_set(&line, false);
	assert_false(fake.high[line.number]);
	assert_int_equal(fake.gsis_driven, 2);
}

static void test_an_edge_is_whole(void **state)
{
	struct irq_line one = slot_line(*state, 1), other = slot_line(*state, 1 + 16);

	assert_int_equal(other.number, one.number);
	irq_pulse(&one);
	assert_false(fake.high[one.number]);
	irq_pulse(&other);
	assert_false(fake.high[one.number]);
	assert_int_equal(fake.gsis_driven, 4);
}

static void test_reset_of_the_chips(void **state)
{
	struct machine_fixture *f = *state;

	assert_int_equal(fake.irqchip_resets, 1);
	x86_machine.reset(&f->machine);
	assert_int_equal(fake.irqchip_resets, 2);
	fake.fail_reset = -EIO;
	x86_machine.reset(&f->machine); // complains, no more
}

// The I/O APIC is a device of the machine's own; KVM's chips are left alone.
static void test_split(void **state)
{
	struct vm_config config = plain;
	struct machine_fixture *f;
	struct irq_line line;

	memset(&fake, 0, sizeof(fake));
	config.irqchip = "split";
	f = machine_fixture_make(&x86_machine, &split_ops, &config);
	line = slot_line(f, 0);
	bus_put(&f->mmio, X86_IOAPIC_BASE, 4, 0x10 + 2 * line.number);
	bus_put(&f->mmio, X86_IOAPIC_BASE + 0x10, 4, 0x8041); // level, vector 0x41
	irq_set(&line, true);
	assert_int_equal(fake.messages, 1);
	fake.ended(fake.ended_opaque, 0x41);
	assert_int_equal(fake.messages, 2);
	x86_machine.reset(&f->machine);
	assert_int_equal(fake.irqchip_resets, 0);
	assert_int_equal(fake.gsis_driven, 0);
	machine_fixture_free(f);
}

// -- ports --

static unsigned after_write(struct machine_fixture *f, uint16_t port, uint8_t value)
{
	f->power_requests = 0;
	bus_put(&f->pio, port, 1, value);
	return f->power_requests;
}

static void test_ways_to_end(void **state)
{
	assert_int_equal(after_write(*state, 0x600, 0x34), 1U << VCPU_EXIT_SHUTDOWN);
	assert_int_equal(after_write(*state, 0x602, 0x01), 1U << VCPU_EXIT_RESET);
	assert_int_equal(after_write(*state, 0x64, 0xfe), 1U << VCPU_EXIT_RESET);
	assert_int_equal(after_write(*state, 0xcf9, 0x06), 1U << VCPU_EXIT_RESET);
}

static void test_devices_answer(void **state)
{
	struct machine_fixture *f = *state;

	assert_int_equal(bus_get(&f->pio, 0x3f8 + 5, 1), 0x60); // LSR: empty
	bus_put(&f->pio, 0x70, 1, 0x0d);
	assert_int_equal(bus_get(&f->pio, 0x71, 1), 0x80);
	assert_true(bus_may_post(&f->pio, 0x3f8, 1));
	assert_false(bus_may_post(&f->pio, 0x3f8, 2));
	assert_false(bus_may_post(&f->pio, 0x3f9, 1));
	assert_false(bus_may_post(&f->pio, 0x600, 1));
}

static void test_empty_places_float(void **state)
{
	struct machine_fixture *f = *state;
	uint32_t value = 0;

	assert_int_equal(bus_read(&f->pio, 0x2f8, &value, 1), -ENXIO);
	assert_int_equal(value, 0xff);
	assert_int_equal(bus_read(&f->mmio, X86_ECAM_BASE, &value, 4), -ENXIO);
	assert_int_equal(value, 0xffffffff);
}

// -- loading --

#define CODE_GPA 0x200000

static void give_kernel(struct machine_fixture *f)
{
	struct {
		Elf64_Ehdr head;
		Elf64_Phdr segment;
		uint8_t code[64];
	} elf = {
		.head = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				     EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_entry = CODE_GPA,
			.e_phoff = sizeof(Elf64_Ehdr),
			.e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 1,
		},
		.segment = {
			.p_type = PT_LOAD,
			.p_flags = PF_R | PF_X,
			.p_offset = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr),
			.p_vaddr = CODE_GPA,
			.p_paddr = CODE_GPA,
			.p_filesz = 64,
			.p_memsz = 64,
			.p_align = 1,
		},
	};

	assert_int_equal(image_parse(&f->kernel, "kernel", &elf, sizeof(elf)), 0);
}

static void test_only_the_first_cpu_begins(void **state)
{
	struct machine_fixture *f = *state;

	give_kernel(f);
	assert_int_equal(x86_machine.load(&f->machine), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(x86_machine.reset_vcpu(&f->machine, &f->vcpus.vcpus[i]), 0);
	assert_true(fake.entered[0]);
	assert_int_equal(fake.entries[0].rip, CODE_GPA);
	assert_true(fake.entries[0].long_mode);
	assert_false(fake.entered[1]);
}

// What a real-mode jump to the firmware finds: out 0x602, 1.
static void test_reset_vector(void **state)
{
	static const uint8_t code[] = { 0xba, 0x02, 0x06, 0xb0, 0x01, 0xee };
	struct machine_fixture *f = *state;

	give_kernel(f);
	assert_int_equal(x86_machine.load(&f->machine), 0);
	assert_memory_equal(memory_ptr(&f->memory, 0xffff0, 16), code, sizeof(code));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probe),    cmocka_unit_test(test_irqchips),
		TEST(test_ram_below_the_gap),    cmocka_unit_test(test_ram_above_the_gap),
		TEST(test_slots_lie_apart),      TEST(test_devices_get_gsis_of_their_own),
		TEST(test_a_level_is_told_once), TEST(test_an_edge_is_whole),
		TEST(test_reset_of_the_chips),   cmocka_unit_test(test_split),
		TEST(test_ways_to_end),          TEST(test_devices_answer),
		TEST(test_empty_places_float),   TEST(test_only_the_first_cpu_begins),
		TEST(test_reset_vector),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
