// SPDX-License-Identifier: GPL-2.0-or-later
// What a KVM exit means: accesses, ends, and reports that name reason and remedy.

#include "kvm-fixture.h"

static enum vcpu_exit run_one(struct kvm_rig *rig, void (*fill)(struct kvm_run *run))
{
	const struct fake_run script[] = { { .fill = fill } };
	enum vcpu_exit exit;

	kvm.script = script;
	kvm.script_length = 1;
	atomic_store(&kvm.runs, 0);
	memset(kvm.run, 0, RUN_BYTES);
	exit = kvm_run_vcpu(&rig->set.vcpus[0]);
	kvm.script_length = 0; // the array is this function's
	return exit;
}

// -- accesses --

static void fill_load(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = DEVICE_GPA + 8;
	run->mmio.len = 8;
	memset(run->mmio.data, 0xee, sizeof(run->mmio.data));
}

static void fill_load_nowhere(struct kvm_run *run)
{
	fill_load(run);
	run->mmio.phys_addr = UINT64_MAX - 7;
}

static void fill_odd_load(struct kvm_run *run)
{
	fill_load(run);
	run->mmio.len = 3;
}

static void fill_store(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = DEVICE_GPA;
	run->mmio.len = 2;
	run->mmio.is_write = 1;
	memcpy(run->mmio.data, "\x34\x12", 2);
}

static uint64_t loaded(void)
{
	uint64_t value;

	memcpy(&value, kvm.run->mmio.data, sizeof(value));
	return value;
}

static void test_mmio(void **state)
{
	struct kvm_rig rig;

	rig_start(&rig);
	assert_int_equal(run_one(&rig, fill_load), VCPU_EXIT_KICKED);
	assert_true(loaded() == 0x1122334455667788ULL);
	assert_int_equal(rig.read_offset, 8);
	assert_int_equal(rig.width, 8);
	assert_int_equal(run_one(&rig, fill_store), VCPU_EXIT_KICKED);
	assert_int_equal(rig.written[0], 0x1234);
	assert_int_equal(rig.width, 2);
	run_one(&rig, fill_load_nowhere);
	assert_true(loaded() == 0);
	run_one(&rig, fill_odd_load);
	assert_true((loaded() & 0xffffff) == 0);
	assert_int_equal(rig.reads, 1);
	assert_int_equal(kvm.arch_asked, 0); // the quick way
	rig_stop(&rig);
}

static void fill_io(struct kvm_run *run, unsigned direction, unsigned size, unsigned count)
{
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = direction;
	run->io.port = DEVICE_PORT;
	run->io.size = size;
	run->io.count = count;
	run->io.data_offset = 4096;
}

static void fill_out(struct kvm_run *run)
{
	fill_io(run, KVM_EXIT_IO_OUT, 2, 3);
	memcpy((uint8_t *)run + 4096, "\x01\x02\x03\x04\x05\x06", 6);
}

static void fill_in(struct kvm_run *run)
{
	fill_io(run, KVM_EXIT_IO_IN, 4, 2);
}

static void test_pio_strings(void **state)
{
	struct kvm_rig rig;
	uint32_t got[2];

	rig_start(&rig);
	assert_int_equal(run_one(&rig, fill_out), VCPU_EXIT_KICKED);
	assert_int_equal(rig.writes, 3);
	assert_int_equal(rig.written[0], 0x0201);
	assert_int_equal(rig.written[2], 0x0605);
	assert_int_equal(run_one(&rig, fill_in), VCPU_EXIT_KICKED);
	memcpy(got, (uint8_t *)kvm.run + 4096, sizeof(got));
	assert_int_equal(got[0], 0x55667788);
	assert_int_equal(got[1], 0x55667789);
	rig_stop(&rig);
}

// -- ends --

#define EVENT(name, number)                               \
	static void fill_##name(struct kvm_run *run)      \
	{                                                 \
		run->exit_reason = KVM_EXIT_SYSTEM_EVENT; \
		run->system_event.type = (number);        \
	}
EVENT(event_off, KVM_SYSTEM_EVENT_SHUTDOWN)
EVENT(event_reset, KVM_SYSTEM_EVENT_RESET)
EVENT(event_crash, KVM_SYSTEM_EVENT_CRASH)
EVENT(event_unknown, 12345)

#define REASON(name, number)                         \
	static void fill_##name(struct kvm_run *run) \
	{                                            \
		run->exit_reason = (number);         \
	}
REASON(triple_fault, KVM_EXIT_SHUTDOWN)
REASON(intr, KVM_EXIT_INTR)
REASON(unknown, KVM_EXIT_UNKNOWN)
REASON(hlt, KVM_EXIT_HLT)
REASON(beyond, 4711)

static void fill_fail_entry(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	run->fail_entry.hardware_entry_failure_reason = 0x80000021;
}

static void fill_emulation(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run->emulation_failure.ndata = 4;
	run->emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	run->emulation_failure.insn_size = 200; // more than there are
	memcpy(run->emulation_failure.insn_bytes, "\xc4\x42\x69\xf7\xe0\0\0\0\0\0\0\0\0\0\x99", 15);
}

static void fill_emulation_without_bytes(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
}

static void fill_delivery(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = KVM_INTERNAL_ERROR_DELIVERY_EV;
	run->internal.ndata = UINT32_MAX;
	run->internal.data[0] = 0xabcdef;
}

static void fill_internal_unknown(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = UINT32_MAX;
}

static void test_ends(void **state)
{
	static const struct {
		void (*fill)(struct kvm_run *run);
		enum vcpu_exit exit;
		const char *said[2];
	} cases[] = {
		{ fill_event_off, VCPU_EXIT_SHUTDOWN, { "" } },
		{ fill_event_reset, VCPU_EXIT_RESET, { "" } },
		{ fill_event_crash, VCPU_EXIT_CRASH, { "" } },
		{ fill_event_unknown,
		  VCPU_EXIT_FAILED,
		  { "vCPU 0: KVM reports system event 12345" } },
		{ fill_triple_fault, VCPU_EXIT_CRASH, { "vCPU 0: the guest shut the CPU down" } },
		{ fill_intr, VCPU_EXIT_KICKED, { "" } },
		{ fill_unknown, VCPU_EXIT_FAILED, { "why the hardware left", "kernel log" } },
		{ fill_hlt, VCPU_EXIT_FAILED, { "vCPU 0: KVM exit 5, which this kvik does not" } },
		{ fill_beyond, VCPU_EXIT_FAILED, { "vCPU 0: KVM exit 4711" } },
		{ fill_fail_entry, VCPU_EXIT_FAILED, { "reason 0x80000021", "--accel soft" } },
		{ fill_emulation,
		  VCPU_EXIT_FAILED,
		  { "within the bytes c4 42 69 f7 e0 00 00 00 00 00 00 00 00 00 99\n",
		    "use a host whose CPU virtualises" } },
		{ fill_emulation_without_bytes,
		  VCPU_EXIT_FAILED,
		  { "an instruction that it cannot emulate\n" } },
		{ fill_delivery,
		  VCPU_EXIT_FAILED,
		  { "internal error 3 (exit while it delivered an event)",
		    "data[0] 0000000000abcdef" } },
		{ fill_internal_unknown, VCPU_EXIT_FAILED, { "4294967295 (not known to kvik)" } },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct kvm_rig rig;

		rig_start(&rig);
		if (run_one(&rig, cases[i].fill) != cases[i].exit)
			fail_msg("case %u ended otherwise", i);
		for (unsigned j = 0; j < 2 && cases[i].said[j]; j++)
			if (!strstr(rig_messages(&rig), cases[i].said[j]))
				fail_msg("case %u said: %s", i, rig_messages(&rig));
		if (!cases[i].said[0][0])
			assert_string_equal(rig_messages(&rig), "");
		rig_stop(&rig);
	}
}

// -- the architecture's own --

static void test_architecture_is_asked_first(void **state)
{
	struct kvm_rig rig;

	rig_start(&rig);
	kvm.arch_handles = true;
	kvm.arch_exit = VCPU_EXIT_CRASH;
	assert_int_equal(run_one(&rig, fill_event_off), VCPU_EXIT_CRASH);
	assert_int_equal(run_one(&rig, fill_beyond), VCPU_EXIT_CRASH);
	assert_int_equal(kvm.arch_asked, 2);
	assert_string_equal(rig_messages(&rig), "");
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mmio),
		cmocka_unit_test(test_pio_strings),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_architecture_is_asked_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
