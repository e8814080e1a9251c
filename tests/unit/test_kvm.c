// SPDX-License-Identifier: GPL-2.0-or-later
// KVM's arch-neutral half: probing, the VM, its slots, the run loop and kicks.

#include "kvm-fixture.h"

#include <time.h>

// -- probing --

static int probe(const char *path, char why[256])
{
	struct vm_config config = { .kvm_path = path };
	struct accel accel = { .config = &config };
	int err;

	why[0] = '\0';
	err = kvm_available(&accel, why, 256);
	assert_int_equal(accel.probed_fd > 0, !err);
	if (!err)
		close(accel.probed_fd);
	return err;
}

static void test_available(void **state)
{
	char why[256];

	kvm_reset();
	assert_int_equal(probe("/dev/null", why), 0);
	assert_string_equal(why, "");
	assert_string_equal(kvm_path(&(struct vm_config){ 0 }), "/dev/kvm");
}

static void test_absent(void **state)
{
	char why[256];

	kvm_reset();
	assert_int_equal(probe("/dev/null/kvm", why), -ENOTDIR);
	assert_non_null(strstr(why, "KVM cannot be used: open /dev/null/kvm"));
	assert_int_equal(probe("/nowhere/kvm", why), -ENOENT);
	assert_non_null(strstr(why, "KVM is absent: /nowhere/kvm: No such file"));
}

static void test_unable(void **state)
{
	char why[256];

	kvm_reset();
	kvm.api_version = -1;
	assert_int_equal(probe("/dev/null", why), -ENOTSUP);
	assert_non_null(strstr(why, "KVM is unable: /dev/null: it is not KVM's device"));
	kvm.api_version = 11;
	assert_int_equal(probe("/dev/null", why), -ENOTSUP);
	assert_non_null(strstr(why, "another API"));
	kvm.api_version = KVM_API_VERSION;
	kvm.create_vm_error = EBUSY;
	assert_int_equal(probe("/dev/null", why), -EBUSY);
	assert_non_null(strstr(why, "it creates no VM (KVM_CREATE_VM): Device or resource busy; "
				    "another hypervisor"));
}

// A reason that does not fit is cut.
static void test_why_is_bounded(void **state)
{
	struct vm_config config = { .kvm_path = "/nowhere/kvm" };
	struct accel accel = { .config = &config };
	char why[8] = "1234567";

	kvm_reset();
	assert_int_equal(kvm_available(&accel, why, 4), -ENOENT);
	assert_string_equal(why, "KVM");
	assert_string_equal(why + 4, "567");
}

// -- the VM --

// KVM takes long to end one.
static void test_the_probed_vm_is_used(void **state)
{
	struct kvm_rig rig;
	char why[64] = "";
	int fd;

	rig_init(&rig);
	assert_int_equal(kvm_available(&rig.accel, why, sizeof(why)), 0);
	fd = rig.accel.probed_fd;
	assert_true(fd > 0);
	assert_int_equal(kvm_vm_init(&rig.accel), 0);
	assert_int_equal(rig.accel.probed_fd, 0);
	assert_int_equal(kvm_vm(&rig.accel)->fd, fd);
	assert_int_equal(kvm.vms_created, 1);
	kvm_vm_exit(&rig.accel);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	rig_exit(&rig);
}

static void test_vm_that_fails(void **state)
{
	struct kvm_rig rig;
	unsigned done;

	for (unsigned i = 0; i < 6; i++) {
		rig_init(&rig);
		kvm.create_vm_error = i == 0 ? ENOMEM : 0;
		kvm.caps_missing = i == 1 ? KVM_CAP_IMMEDIATE_EXIT : -1;
		kvm.run_bytes = i == 2 ? 16 : RUN_BYTES;
		kvm.arch_vm_error = i == 3 ? -EIO : 0;
		rig.config.cpus = i == 4 ? 9 : 1;
		if (i == 5)
			rig.config.kvm_path = "/nowhere/kvm";
		assert_true(kvm_vm_init(&rig.accel) < 0);
		assert_null(rig.accel.priv);
		assert_int_equal(kvm.arch_vm_exits, 0);
		if (i == 1)
			assert_said(&rig, "KVM_CAP_IMMEDIATE_EXIT");
		if (i == 4)
			assert_said(&rig, "-c 9: the host's KVM runs at most 8 vCPUs");
		done = i;
		rig_exit(&rig);
	}
	assert_int_equal(done, 5);
}

static void test_vcpu_that_fails(void **state)
{
	struct vcpu_host host = { .exited = rig_exited };
	struct kvm_rig rig;

	for (unsigned i = 0; i < 2; i++) {
		rig_init(&rig);
		assert_int_equal(kvm_vm_init(&rig.accel), 0);
		kvm.create_vcpu_error = i == 0 ? ENOMEM : 0;
		kvm.arch_vcpu_error = i == 1 ? -EIO : 0;
		assert_true(vcpu_set_init(&rig.set, &rig.accel, 1, &rig.mmio, &rig.pio, host) < 0);
		assert_int_equal(kvm.arch_vcpu_exits, 0);
		kvm_vm_exit(&rig.accel);
		rig_exit(&rig);
	}
}

static void test_slots(void **state)
{
	struct kvm_rig rig;

	rig_start(&rig);
	assert_int_equal(memory_add_ram(&rig.memory, 0, 4 * MIB), 0);
	assert_int_equal(memory_add_ram(&rig.memory, 4 * GIB, 2 * MIB), 0);
	assert_int_equal(kvm_map_ram(&rig.accel), 0);
	assert_int_equal(kvm.slot_count, 2);
	for (unsigned i = 0; i < 2; i++) {
		const struct memory_bank *bank = &rig.memory.banks[i];

		assert_int_equal(kvm.slots[i].slot, i);
		assert_int_equal(kvm.slots[i].flags, 0);
		assert_int_equal(kvm.slots[i].guest_phys_addr, bank->base_gpa);
		assert_int_equal(kvm.slots[i].memory_size, bank->size_bytes);
		assert_int_equal(kvm.slots[i].userspace_addr, (uintptr_t)bank->host);
	}
	rig_stop(&rig);
	assert_int_equal(kvm.arch_vcpu_exits, 1);
	assert_int_equal(kvm.arch_vm_exits, 1);
}

static void test_doorbell(void **state)
{
	struct bus_doorbell bell = { .addr = 0x1050, .len = 4, .value = 3, .fd = 9 };
	struct kvm_rig rig;

	rig_start(&rig);
	assert_int_equal(kvm_doorbell_fd(&rig.accel, &bell), 0);
	assert_int_equal(kvm.ioeventfd.addr, 0x1050);
	assert_int_equal(kvm.ioeventfd.len, 4);
	assert_int_equal(kvm.ioeventfd.datamatch, 3);
	assert_int_equal(kvm.ioeventfd.fd, 9);
	assert_int_equal(kvm.ioeventfd.flags, KVM_IOEVENTFD_FLAG_DATAMATCH);
	rig_stop(&rig);
}

// A slot behind those of RAM, which the guest cannot write; of no size, it goes.
static void test_page(void **state)
{
	static uint8_t bytes[BUS_PAGE_BYTES];
	struct bus_page page = { .addr = 0x10001000, .number = 3 };
	const struct kvm_userspace_memory_region *slot;
	struct kvm_rig rig;

	rig_start(&rig);
	slot = &kvm.slots[kvm.slot_count];
	assert_int_equal(kvm_show_page(&rig.accel, &page, bytes), 0);
	assert_int_equal(slot->slot, MEMORY_MAX_BANKS + 3);
	assert_int_equal(slot->flags, KVM_MEM_READONLY);
	assert_int_equal(slot->guest_phys_addr, 0x10001000);
	assert_int_equal(slot->memory_size, BUS_PAGE_BYTES);
	assert_int_equal(slot->userspace_addr, (uintptr_t)bytes);
	assert_int_equal(kvm_show_page(&rig.accel, &page, NULL), 0);
	slot++;
	assert_int_equal(slot->slot, MEMORY_MAX_BANKS + 3);
	assert_int_equal(slot->guest_phys_addr, 0x10001000);
	assert_int_equal(slot->memory_size, 0);
	rig_stop(&rig);
}

static void test_ioctl_goes_on_after_a_signal(void **state)
{
	struct kvm_rig rig;

	rig_start(&rig);
	assert_int_equal(kvm_ioctl(0, KVM_SET_TSC_KHZ, NULL, "be interrupted"), 7);
	assert_int_equal(kvm.interrupted_calls, 4);
	rig_stop(&rig);
}

static void test_line_that_fails_does_not_flood(void **state)
{
	struct kvm_rig rig;
	unsigned lines = 0;

	rig_start(&rig);
	kvm.line_error = ENXIO;
	for (unsigned i = 0; i < 1000; i++)
		kvm_irq_line(&rig.accel, 5, true);
	for (const char *c = rig_messages(&rig); *c; c++)
		lines += *c == '\n';
	assert_int_equal(kvm.line_calls, 1000);
	assert_in_range(lines, 1, 10);
	rig_stop(&rig);
}

// -- the run loop --

static void fill_shutdown(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_SYSTEM_EVENT;
	run->system_event.type = KVM_SYSTEM_EVENT_SHUTDOWN;
}

static void fill_store(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = DEVICE_GPA;
	run->mmio.len = 4;
	run->mmio.is_write = 1;
	memcpy(run->mmio.data, "\x78\x56\x34\x12", 4);
}

static enum vcpu_exit run_script(struct kvm_rig *rig, const struct fake_run *script,
				 unsigned length)
{
	kvm.script = script;
	kvm.script_length = length;
	atomic_store(&kvm.runs, 0);
	return kvm_run_vcpu(&rig->set.vcpus[0]);
}

static void test_runs_until_something_is_to_be_told(void **state)
{
	static const struct fake_run script[] = {
		{ .fill = fill_store },
		{ .error = EAGAIN },
		{ .fill = fill_store },
		{ .fill = fill_shutdown },
	};
	struct kvm_rig rig;

	rig_start(&rig);
	assert_int_equal(run_script(&rig, script, ARRAY_SIZE(script)), VCPU_EXIT_SHUTDOWN);
	assert_int_equal(rig.writes, 2);
	assert_int_equal(kvm.after_runs, 4);
	assert_true(rig.seen_before_write);
	// The exit was finished in the kernel, without entering the guest.
	assert_int_equal(kvm.runs, 5);
	assert_int_equal(kvm.immediate_exits, 1);
	assert_int_equal(kvm.run->immediate_exit, 0);
	rig_stop(&rig);
}

static void test_run_fails(void **state)
{
	static const struct {
		int error;
		const char *said;
	} cases[] = {
		{ EFAULT, "cannot give the guest a page" },
		{ EHWPOISON, "is its memory broken?" },
		{ EOPNOTSUPP, "it runs where there is no RAM" },
		{ ENOEXEC, "vCPU 0: KVM_RUN: Exec format error" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct fake_run script[] = { { .error = cases[i].error } };
		struct kvm_rig rig;

		rig_start(&rig);
		assert_int_equal(run_script(&rig, script, 1), VCPU_EXIT_FAILED);
		assert_said(&rig, cases[i].said);
		assert_int_equal(kvm.runs, 1);
		rig_stop(&rig);
	}
}

// -- kicks --

static void test_kick_before_run_is_kept(void **state)
{
	static const struct fake_run script[] = { { .fill = fill_store }, { .fill = fill_store } };
	struct kvm_rig rig;

	rig_start(&rig);
	kvm_kick(&rig.set.vcpus[0]);
	assert_int_equal(run_script(&rig, script, 2), VCPU_EXIT_KICKED);
	assert_int_equal(rig.writes, 0);
	assert_int_equal(kvm.immediate_exits, 1);
	// It was taken: the next run enters the guest.
	run_script(&rig, script, 2);
	assert_int_equal(rig.writes, 2);
	rig_stop(&rig);
}

static void test_pause_gets_vcpu_out_of_kvm(void **state)
{
	struct kvm_rig rig;

	rig_start(&rig);
	kvm.sleep_in_run = true;
	assert_int_equal(vcpu_set_start(&rig.set), 0);
	for (unsigned i = 0; i < 200; i++) {
		vcpu_set_resume(&rig.set);
		// Sometimes before it is inside, sometimes after.
		if (i % 2)
			while (!atomic_load(&kvm.in_run))
				nanosleep(&(struct timespec){ .tv_nsec = 10000 }, NULL);
		vcpu_set_pause(&rig.set);
		assert_true(rig.set.vcpus[0].parked);
	}
	vcpu_set_stop(&rig.set);
	rig_stop(&rig);
}

// A signal that nobody sent to kick: nothing is lost, and nothing is done.
static void test_kick_of_a_stopped_vcpu(void **state)
{
	struct kvm_rig rig;

	rig_start(&rig);
	for (unsigned i = 0; i < 3; i++)
		kvm_kick(&rig.set.vcpus[0]);
	assert_int_equal(kvm_vcpu(&rig.set.vcpus[0])->runner, 0);
	assert_int_equal(kvm.run->immediate_exit, 1);
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_available),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_unable),
		cmocka_unit_test(test_why_is_bounded),
		cmocka_unit_test(test_the_probed_vm_is_used),
		cmocka_unit_test(test_vm_that_fails),
		cmocka_unit_test(test_vcpu_that_fails),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_doorbell),
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_ioctl_goes_on_after_a_signal),
		cmocka_unit_test(test_line_that_fails_does_not_flood),
		cmocka_unit_test(test_runs_until_something_is_to_be_told),
		cmocka_unit_test(test_run_fails),
		cmocka_unit_test(test_kick_before_run_is_kept),
		cmocka_unit_test(test_pause_gets_vcpu_out_of_kvm),
		cmocka_unit_test(test_kick_of_a_stopped_vcpu),
	};

	alarm(30); // a lost kick is a hang
	return cmocka_run_group_tests(tests, NULL, NULL);
}
