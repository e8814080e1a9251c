// SPDX-License-Identifier: GPL-2.0-or-later
// KVM's clocks on x86-64 over a pause of an hour, with a KVM made of a scripted ioctl(2).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef __x86_64__
#include <errno.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "../../x86/x86-kvm.h"
#include "kvm-host.h"
#include "vcpu.h"

#include <cmocka.h>

#define CPUS 2
#define VM_FD 100
#define CPU_FD 200 // and the following
#define TSC_HZ 2500000000ULL
#define HOUR_S 3600ULL
#define MSR_TSC 0x10
#define MSR_TSC_DEADLINE 0x6e0

// The host's clocks, and what KVM keeps of the guest's.
static struct {
	uint64_t host_tsc, clock_ns;
	uint64_t offsets[CPUS], deadlines[CPUS];
	unsigned deadlines_set, excused;
	bool has_no_offsets; // a kernel before 5.16
} host;

static void host_runs(uint64_t seconds)
{
	host.host_tsc += seconds * TSC_HZ;
	host.clock_ns += seconds * NSEC_PER_SEC;
}

static uint64_t guest_tsc(unsigned cpu)
{
	return host.host_tsc + host.offsets[cpu];
}

// -- ioctl(2) --

static int access_msr(unsigned cpu, struct kvm_msrs *msrs, bool set)
{
	struct kvm_msr_entry *entry = &msrs->entries[0];

	assert_int_equal(msrs->nmsrs, 1);
	if (entry->index == MSR_TSC && !set) {
		entry->data = guest_tsc(cpu);
	} else if (entry->index == MSR_TSC_DEADLINE && !set) {
		entry->data = host.deadlines[cpu];
	} else if (entry->index == MSR_TSC_DEADLINE) {
		host.deadlines[cpu] = entry->data;
		host.deadlines_set++;
	} else {
		return 0;
	}
	return 1;
}

static int access_offset(unsigned cpu, const struct kvm_device_attr *attr, bool set)
{
	uint64_t *value = (uint64_t *)(uintptr_t)attr->addr;

	if (host.has_no_offsets) {
		errno = ENXIO;
		return -1;
	}
	if (set)
		host.offsets[cpu] = *value;
	else
		*value = host.offsets[cpu];
	return 0;
}

static int access_clock(struct kvm_clock_data *clock, bool set)
{
	if (set)
		host.clock_ns = clock->clock;
	else
		clock->clock = host.clock_ns;
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	unsigned cpu = (unsigned)fd - CPU_FD;
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	switch (request) {
	case KVM_GET_MSRS:
	case KVM_SET_MSRS:
		return access_msr(cpu, arg, request == KVM_SET_MSRS);
	case KVM_GET_DEVICE_ATTR:
	case KVM_SET_DEVICE_ATTR:
		return access_offset(cpu, arg, request == KVM_SET_DEVICE_ATTR);
	case KVM_GET_CLOCK:
	case KVM_SET_CLOCK:
		assert_int_equal(fd, VM_FD);
		return access_clock(arg, request == KVM_SET_CLOCK);
	case KVM_KVMCLOCK_CTRL:
		host.excused++;
		return 0;
	default:
		errno = ENOTTY;
		return -1;
	}
}

// -- a VM --

struct rig {
	struct x86_vm x86;
	struct kvm_vm kvm;
	struct kvm_vcpu kvcpus[CPUS];
	struct vcpu vcpus[CPUS];
	struct vcpu_set set;
	struct accel accel;
};

static void rig_init(struct rig *rig)
{
	*rig = (struct rig){
		.kvm = { .fd = VM_FD, .arch = &rig->x86 },
		.set = { .vcpus = rig->vcpus, .count = CPUS },
		.accel = { .priv = &rig->kvm, .vcpus = &rig->set },
	};
	for (unsigned i = 0; i < CPUS; i++) {
		rig->kvcpus[i].fd = CPU_FD + (int)i;
		rig->vcpus[i] = (struct vcpu){ .index = i, .priv = &rig->kvcpus[i] };
	}
	memset(&host, 0, sizeof(host));
	host.host_tsc = 77 * TSC_HZ;
	host.clock_ns = 5 * NSEC_PER_SEC;
	// As KVM sets them: the guest's counters began at 0, one of them somewhat late.
	host.offsets[0] = -host.host_tsc;
	host.offsets[1] = -host.host_tsc - 12;
}

static void pause_for_an_hour(struct rig *rig)
{
	x86_kvm_hold_clock(&rig->accel, true);
	host_runs(HOUR_S);
	x86_kvm_hold_clock(&rig->accel, false);
}

static void test_an_hour_is_not_seen(void **state)
{
	uint64_t before[CPUS];
	struct rig rig;

	rig_init(&rig);
	host_runs(3);
	host.deadlines[1] = guest_tsc(1) + 1000;
	for (unsigned i = 0; i < CPUS; i++)
		before[i] = guest_tsc(i);
	pause_for_an_hour(&rig);
	for (unsigned i = 0; i < CPUS; i++)
		assert_int_equal(guest_tsc(i), before[i]);
	assert_int_equal(host.clock_ns, 8 * NSEC_PER_SEC);
	assert_int_equal(host.excused, CPUS);
	// The timer that waits was set again, and only that one.
	assert_int_equal(host.deadlines_set, 1);
	assert_int_equal(host.deadlines[1], before[1] + 1000);
	assert_null(rig.x86.held_clock);
}

static void test_hours_add_up(void **state)
{
	struct rig rig;
	uint64_t before;

	rig_init(&rig);
	before = guest_tsc(0);
	for (unsigned i = 0; i < 5; i++) {
		pause_for_an_hour(&rig);
		host_runs(1);
	}
	assert_int_equal(guest_tsc(0), before + 5 * TSC_HZ);
	assert_int_equal(guest_tsc(1), guest_tsc(0) - 12);
	assert_int_equal(host.clock_ns, 10 * NSEC_PER_SEC);
}

// Then KVM's own clock, which Linux goes by, stands still all the same.
static void test_host_without_offsets(void **state)
{
	struct rig rig;

	rig_init(&rig);
	host.has_no_offsets = true;
	pause_for_an_hour(&rig);
	assert_int_equal(host.clock_ns, 5 * NSEC_PER_SEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_hour_is_not_seen),
		cmocka_unit_test(test_hours_add_up),
		cmocka_unit_test(test_host_without_offsets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
#include <cmocka.h>

static void test_elsewhere(void **state)
{
	skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_elsewhere) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
