// SPDX-License-Identifier: GPL-2.0-or-later
// What the tests of KVM's arch-neutral half share: a KVM made of a scripted ioctl(2),
// and an architecture that only remembers what it was asked. No /dev/kvm is opened.
#ifndef KVIK_KVM_FIXTURE_H
#define KVIK_KVM_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bus.h"
#include "device.h"
#include "kvm-host.h"
#include "memory.h"
#include "vm-config.h"

#include <cmocka.h>

#define RUN_BYTES (2 * 4096)
#define DEVICE_GPA 0x1000
#define DEVICE_PORT 0x3f8
#define RUNS_MAX 16

// One return of KVM_RUN: an errno, or what fill() puts into kvm_run.
struct fake_run {
	int error;
	void (*fill)(struct kvm_run *run);
};

static struct {
	// What the host's KVM is like.
	unsigned vms_created;
	int api_version, create_vm_error, create_vcpu_error, caps_missing, max_vcpus;
	int run_bytes;
	// KVM_RUN.
	const struct fake_run *script;
	unsigned script_length;
	atomic_uint runs;
	bool sleep_in_run; // until a signal
	atomic_bool in_run;
	unsigned immediate_exits; // KVM_RUNs that found the flag set
	// What came.
	struct kvm_userspace_memory_region slots[4];
	unsigned slot_count;
	struct kvm_ioeventfd ioeventfd;
	struct kvm_coalesced_mmio_zone zone; // KVM_REGISTER_COALESCED_MMIO
	unsigned zones_added, zones_removed;
	int zone_error;
	unsigned line_calls, interrupted_calls;
	int line_error;
	struct kvm_run *run; // of the vCPU that runs
	// The architecture's part.
	int arch_vm_error, arch_vcpu_error;
	enum vcpu_exit arch_exit;
	bool arch_handles;
	unsigned arch_asked, arch_vm_exits, arch_vcpu_exits, after_runs;
} kvm;

static void kvm_reset(void)
{
	memset(&kvm, 0, sizeof(kvm));
	kvm.api_version = KVM_API_VERSION;
	kvm.caps_missing = -1;
	kvm.max_vcpus = 8;
	kvm.run_bytes = RUN_BYTES;
}

// -- ioctl(2) --

static int new_fd(int error)
{
	int fd;

	if (error) {
		errno = error;
		return -1;
	}
	fd = memfd_create("kvm", MFD_CLOEXEC);
	return fd >= 0 && ftruncate(fd, RUN_BYTES) == 0 ? fd : -1;
}

static int failed(int error)
{
	errno = error;
	return error ? -1 : 0;
}

// As KVM_RUN: no signal slips in between the look at the flag and the sleep.
static int sleep_until_signal(void)
{
	struct timespec long_time = { .tv_sec = 30 };
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	atomic_store(&kvm.in_run, true);
	if (!__atomic_load_n(&kvm.run->immediate_exit, __ATOMIC_SEQ_CST))
		ppoll(NULL, 0, &long_time, &before);
	atomic_store(&kvm.in_run, false);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed(EINTR);
}

static int fake_kvm_run(void)
{
	unsigned index = atomic_fetch_add(&kvm.runs, 1);

	if (__atomic_load_n(&kvm.run->immediate_exit, __ATOMIC_SEQ_CST)) {
		kvm.immediate_exits++;
		return failed(EINTR);
	}
	if (kvm.sleep_in_run)
		return sleep_until_signal();
	if (index >= kvm.script_length)
		return failed(EINTR);
	if (kvm.script[index].error)
		return failed(kvm.script[index].error);
	kvm.script[index].fill(kvm.run);
	return 0;
}

static int check_extension(unsigned long capability)
{
	if ((int)capability == kvm.caps_missing)
		return 0;
	return capability == KVM_CAP_MAX_VCPUS ? kvm.max_vcpus : 1;
}

static int set_slot(const void *argument)
{
	assert_true(kvm.slot_count < 4);
	memcpy(&kvm.slots[kvm.slot_count++], argument, sizeof(kvm.slots[0]));
	return 0;
}

static int set_zone(const void *argument, unsigned *count)
{
	memcpy(&kvm.zone, argument, sizeof(kvm.zone));
	*count += 1;
	return failed(kvm.zone_error);
}

static int irq_line(void)
{
	kvm.line_calls++;
	return failed(kvm.line_error);
}

int ioctl(int fd, unsigned long request, ...)
{
	unsigned long argument;
	va_list args;

	va_start(args, request);
	argument = va_arg(args, unsigned long);
	va_end(args);
	switch (request) {
	case KVM_GET_API_VERSION:
		return kvm.api_version < 0 ? failed(ENOTTY) : kvm.api_version;
	case KVM_CREATE_VM:
		kvm.vms_created++;
		return new_fd(kvm.create_vm_error);
	case KVM_GET_VCPU_MMAP_SIZE:
		return kvm.run_bytes;
	case KVM_CHECK_EXTENSION:
		return check_extension(argument);
	case KVM_CREATE_VCPU:
		return new_fd(kvm.create_vcpu_error);
	case KVM_SET_USER_MEMORY_REGION:
		return set_slot((const void *)argument);
	case KVM_IOEVENTFD:
		memcpy(&kvm.ioeventfd, (const void *)argument, sizeof(kvm.ioeventfd));
		return 0;
	case KVM_REGISTER_COALESCED_MMIO:
		return set_zone((const void *)argument, &kvm.zones_added);
	case KVM_UNREGISTER_COALESCED_MMIO:
		return set_zone((const void *)argument, &kvm.zones_removed);
	case KVM_IRQ_LINE:
		return irq_line();
	case KVM_RUN:
		return fake_kvm_run();
	case KVM_SET_TSC_KHZ: // for kvm_ioctl()'s own test
		return kvm.interrupted_calls++ < 3 ? failed(EINTR) : 7;
	default:
		return (int)syscall(SYS_ioctl, fd, request, argument);
	}
}

// -- an architecture --

unsigned long kvm_arch_vm_type(const struct vm_config *config, int dev_fd)
{
	return 0;
}

int kvm_arch_vm_init(struct accel *accel)
{
	return kvm.arch_vm_error;
}

void kvm_arch_vm_exit(struct accel *accel)
{
	kvm.arch_vm_exits++;
}

int kvm_arch_vcpu_init(struct vcpu *vcpu)
{
	return kvm.arch_vcpu_error;
}

void kvm_arch_vcpu_exit(struct vcpu *vcpu)
{
	kvm.arch_vcpu_exits++;
}

enum vcpu_exit kvm_arch_handle_exit(struct vcpu *vcpu, bool *handled)
{
	kvm.arch_asked++;
	*handled = kvm.arch_handles;
	return kvm.arch_exit;
}

void kvm_arch_after_run(struct vcpu *vcpu)
{
	kvm.after_runs++;
}

size_t kvm_arch_dump(struct vcpu *vcpu, char *text, size_t size)
{
	return 0;
}

static void nothing_irq(struct vcpu *vcpu, unsigned line, bool high)
{
}

const struct accel_ops kvm_accel_ops = {
	.name = "kvm",
	.available = kvm_available,
	.vm_init = kvm_vm_init,
	.vm_exit = kvm_vm_exit,
	.map_ram = kvm_map_ram,
	.vcpu_init = kvm_vcpu_init,
	.vcpu_exit = kvm_vcpu_exit,
	.dump = kvm_arch_dump,
	.run = kvm_run_vcpu,
	.kick = kvm_kick,
	.irq = nothing_irq,
	.doorbell_fd = kvm_doorbell_fd,
	.show_page = kvm_show_page,
};

// -- a VM of one vCPU, with a device that remembers --

struct kvm_rig {
	struct vm_config config;
	struct memory memory;
	struct bus mmio, pio;
	struct device dev, port;
	uint64_t written[8], read_offset;
	unsigned writes, reads, width;
	bool seen_before_write;
	struct accel accel;
	struct vcpu_set set;
	FILE *messages;
	int saved_stderr;
};

static uint64_t rig_read(struct kvm_rig *rig, uint64_t offset, unsigned size)
{
	rig->read_offset = offset;
	rig->width = size;
	return 0x1122334455667788ULL + rig->reads++;
}

static void rig_write(struct kvm_rig *rig, uint64_t value, unsigned size)
{
	rig->width = size;
	if (rig->writes < 8)
		rig->written[rig->writes] = value;
	rig->writes++;
	// The architecture has seen how the guest was left before a device does.
	rig->seen_before_write = kvm.after_runs == kvm.runs;
}

static uint64_t dev_read(struct io_region *region, uint64_t offset, unsigned size)
{
	return rig_read(container_of(region->device, struct kvm_rig, dev), offset, size);
}

static void dev_write(struct io_region *region, uint64_t offset, uint64_t value, unsigned size)
{
	rig_write(container_of(region->device, struct kvm_rig, dev), value, size);
}

static uint64_t port_read(struct io_region *region, uint64_t offset, unsigned size)
{
	return rig_read(container_of(region->device, struct kvm_rig, port), offset, size);
}

static void port_write(struct io_region *region, uint64_t offset, uint64_t value, unsigned size)
{
	rig_write(container_of(region->device, struct kvm_rig, port), value, size);
}

static const struct io_ops dev_io = { dev_read, dev_write, 1, 8 };
static const struct io_ops port_io = { port_read, port_write, 1, 4 };

static void rig_exited(void *opaque, struct vcpu *vcpu, enum vcpu_exit exit)
{
}

// The VM's parts, without KVM's own.
static void rig_init(struct kvm_rig *rig)
{
	kvm_reset();
	memset(rig, 0, sizeof(*rig));
	rig->config = (struct vm_config){ .kvm_path = "/dev/null", .cpus = 1 };
	memory_init(&rig->memory);
	bus_init(&rig->mmio);
	bus_init(&rig->pio);
	device_init(&rig->dev, "dev", NULL, &dev_io, DEVICE_GPA, 0x100, (struct irq_line){ 0 });
	device_init(&rig->port, "port", NULL, &port_io, DEVICE_PORT, 8, (struct irq_line){ 0 });
	assert_int_equal(bus_add(&rig->mmio, &rig->dev.region), 0);
	assert_int_equal(bus_add(&rig->pio, &rig->port.region), 0);
	rig->accel = (struct accel){
		.ops = &kvm_accel_ops,
		.memory = &rig->memory,
		.config = &rig->config,
	};
	rig->messages = tmpfile();
	rig->saved_stderr = dup(STDERR_FILENO);
	dup2(fileno(rig->messages), STDERR_FILENO);
}

static void rig_exit(struct kvm_rig *rig)
{
	dup2(rig->saved_stderr, STDERR_FILENO);
	close(rig->saved_stderr);
	fclose(rig->messages);
	device_exit(&rig->dev);
	device_exit(&rig->port);
	bus_exit(&rig->mmio);
	bus_exit(&rig->pio);
	memory_exit(&rig->memory);
}

static inline void rig_start(struct kvm_rig *rig)
{
	struct vcpu_host host = { .exited = rig_exited };

	rig_init(rig);
	assert_int_equal(kvm_vm_init(&rig->accel), 0);
	assert_int_equal(vcpu_set_init(&rig->set, &rig->accel, 1, &rig->mmio, &rig->pio, host), 0);
	kvm.run = kvm_vcpu(&rig->set.vcpus[0])->run;
}

static inline void rig_stop(struct kvm_rig *rig)
{
	vcpu_set_exit(&rig->set);
	kvm_vm_exit(&rig->accel);
	rig_exit(rig);
}

static inline const char *rig_messages(struct kvm_rig *rig)
{
	static char text[16384];
	ssize_t len = pread(fileno(rig->messages), text, sizeof(text) - 1, 0);

	text[MAX(len, 0)] = '\0';
	return text;
}

#define assert_said(rig, text) assert_non_null(strstr(rig_messages(rig), text))

#endif
