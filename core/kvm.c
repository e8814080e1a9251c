// SPDX-License-Identifier: GPL-2.0-or-later
// KVM as an accelerator, as far as it is the same on every architecture: the VM, its
// memory slots, its vCPUs, kicks. Exits are in kvm-exit.c, ioctls in kvm-host.c.
//
// A kick is a flag and a signal. KVM_RUN returns at once while the flag
// kvm_run.immediate_exit is set, so a kick that comes before it is kept; the signal
// gets a vCPU out that is inside already. The flag is taken back only on the way out
// of run(), whose caller then looks at what the kick was about.

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bus.h"
#include "kvm-exit.h"
#include "kvm-host.h"
#include "log.h"
#include "memory.h"
#include "vm-config.h"

// Real-time, so that it is nobody else's; its handler does nothing.
#define KICK_SIGNAL SIGRTMIN

// -- the VM --

static void ignore_kick(int number)
{
}

// Without SA_RESTART a device's system calls would end at each kick; KVM_RUN always
// does.
static int catch_kicks(void)
{
	struct sigaction action = { .sa_handler = ignore_kick, .sa_flags = SA_RESTART };

	return sigaction(KICK_SIGNAL, &action, NULL) < 0 ? fail(errno, "sigaction") : 0;
}

static int create_vm(const struct kvm_vm *vm, struct accel *accel)
{
	int fd = accel->probed_fd;

	accel->probed_fd = 0;
	if (fd)
		return fd;
	return kvm_ioctl(vm->dev_fd, KVM_CREATE_VM,
			 (void *)kvm_arch_vm_type(accel->config, vm->dev_fd), "create a VM");
}

static int open_vm(struct kvm_vm *vm, struct accel *accel)
{
	const char *path = kvm_path(accel->config);
	int run_bytes;

	vm->dev_fd = open(path, O_RDWR | O_CLOEXEC);
	if (vm->dev_fd < 0)
		return fail(errno, "open %s", path);
	vm->fd = create_vm(vm, accel);
	if (vm->fd < 0)
		return vm->fd;
	run_bytes = kvm_ioctl(vm->dev_fd, KVM_GET_VCPU_MMAP_SIZE, NULL, "size of kvm_run");
	if (run_bytes < (int)sizeof(struct kvm_run))
		return run_bytes < 0 ? run_bytes : fail(EINVAL, "KVM: size of kvm_run");
	vm->run_bytes = (size_t)run_bytes;
	return 0;
}

// What this file cannot do without, on every architecture.
static int check_needs(struct accel *accel)
{
	static const struct {
		unsigned capability;
		const char *name;
	} needs[] = {
		{ KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY" },
		{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT" },
	};
	int cpus_max = kvm_check(accel, KVM_CAP_MAX_VCPUS);

	for (unsigned i = 0; i < ARRAY_SIZE(needs); i++)
		if (!kvm_check(accel, needs[i].capability))
			return fail_msg(ENOTSUP,
					"the host's KVM has no %s; it needs Linux 4.12 or newer",
					needs[i].name);
	if (cpus_max && accel->config->cpus > (unsigned)cpus_max)
		return fail_msg(EINVAL, "-c %u: the host's KVM runs at most %d vCPUs",
				accel->config->cpus, cpus_max);
	return 0;
}

static void close_vm(struct accel *accel)
{
	struct kvm_vm *vm = kvm_vm(accel);

	kvm_posted_exit(accel);
	if (vm->fd >= 0)
		close(vm->fd);
	if (vm->dev_fd >= 0)
		close(vm->dev_fd);
	free(vm);
	accel->priv = NULL;
}

int kvm_vm_init(struct accel *accel)
{
	struct kvm_vm *vm = malloc(sizeof(*vm));
	int err;

	if (!vm)
		return fail(ENOMEM, "KVM: a VM");
	*vm = (struct kvm_vm){ .dev_fd = -1, .fd = -1 };
	accel->priv = vm;
	err = catch_kicks();
	if (!err)
		err = open_vm(vm, accel);
	if (!err)
		err = check_needs(accel);
	if (!err)
		err = kvm_posted_init(accel);
	if (!err)
		err = kvm_arch_vm_init(accel);
	if (err)
		close_vm(accel);
	return err;
}

void kvm_vm_exit(struct accel *accel)
{
	kvm_arch_vm_exit(accel);
	close_vm(accel);
}

int kvm_map_ram(struct accel *accel)
{
	const struct memory *mem = accel->memory;

	for (unsigned i = 0; i < mem->bank_count; i++) {
		struct kvm_userspace_memory_region region = {
			.slot = i,
			.guest_phys_addr = mem->banks[i].base_gpa,
			.memory_size = mem->banks[i].size_bytes,
			.userspace_addr = (uintptr_t)mem->banks[i].host,
		};
		int err = kvm_ioctl(kvm_vm(accel)->fd, KVM_SET_USER_MEMORY_REGION, &region,
				    "a slot of guest RAM");

		if (err)
			return err;
	}
	return 0;
}

// An ioeventfd: the store ends in the kernel.
int kvm_doorbell_fd(struct accel *accel, const struct bus_doorbell *doorbell)
{
	struct kvm_ioeventfd ioeventfd = {
		.datamatch = doorbell->value,
		.addr = doorbell->addr,
		.len = doorbell->len,
		.fd = doorbell->fd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};

	return ioctl(kvm_vm(accel)->fd, KVM_IOEVENTFD, &ioeventfd) < 0 ? -errno : 0;
}

// A slot that the guest cannot write: its stores exit as before. A host with larger pages
// has none so small.
int kvm_show_page(struct accel *accel, const struct bus_page *page, const void *bytes)
{
	struct kvm_userspace_memory_region region = {
		.slot = MEMORY_MAX_BANKS + page->number,
		.flags = KVM_MEM_READONLY,
		.guest_phys_addr = page->addr,
		.memory_size = bytes ? BUS_PAGE_BYTES : 0,
		.userspace_addr = (uintptr_t)bytes,
	};

	return ioctl(kvm_vm(accel)->fd, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
}

int kvm_irq_fd(struct accel *accel, unsigned gsi, int event_fd)
{
	struct kvm_irqfd irqfd = { .fd = (uint32_t)event_fd, .gsi = gsi };

	return ioctl(kvm_vm(accel)->fd, KVM_IRQFD, &irqfd) < 0 ? -errno : 0;
}

// -- vCPUs --

static int open_vcpu(struct kvm_vcpu *kvcpu, const struct kvm_vm *vm)
{
	void *run;

	kvcpu->fd = kvm_ioctl(vm->fd, KVM_CREATE_VCPU, (void *)(uintptr_t)kvcpu->vcpu->index,
			      "create a vCPU");
	if (kvcpu->fd < 0)
		return kvcpu->fd;
	run = mmap(NULL, vm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, kvcpu->fd, 0);
	if (run == MAP_FAILED)
		return fail(errno, "KVM: map kvm_run of vCPU %u", kvcpu->vcpu->index);
	kvcpu->run = run;
	kvcpu->stats_fd = kvm_stats_open(kvcpu->fd);
	return 0;
}

static void close_vcpu(struct vcpu *vcpu)
{
	struct kvm_vcpu *kvcpu = kvm_vcpu(vcpu);

	if (kvcpu->run)
		munmap(kvcpu->run, kvm_vm(vcpu->accel)->run_bytes);
	if (kvcpu->stats_fd >= 0)
		close(kvcpu->stats_fd);
	if (kvcpu->fd >= 0)
		close(kvcpu->fd);
	free(kvcpu);
	vcpu->priv = NULL;
}

int kvm_vcpu_init(struct vcpu *vcpu)
{
	struct kvm_vcpu *kvcpu = malloc(sizeof(*kvcpu));
	int err;

	if (!kvcpu)
		return fail(ENOMEM, "KVM: vCPU %u", vcpu->index);
	*kvcpu = (struct kvm_vcpu){ .fd = -1, .stats_fd = -1, .vcpu = vcpu };
	vcpu->priv = kvcpu;
	err = open_vcpu(kvcpu, kvm_vm(vcpu->accel));
	if (!err)
		err = kvm_arch_vcpu_init(vcpu);
	if (err)
		close_vcpu(vcpu);
	return err;
}

void kvm_vcpu_exit(struct vcpu *vcpu)
{
	kvm_arch_vcpu_exit(vcpu);
	close_vcpu(vcpu);
}

// -- running --

static void let_kicks_in(bool in)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, KICK_SIGNAL);
	pthread_sigmask(in ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL);
}

static enum vcpu_exit run_failed(struct vcpu *vcpu, int error)
{
	const char *hint = "the host's kernel log may say more";

	if (error == EFAULT || error == EHWPOISON)
		hint = "the host cannot give the guest a page of its memory: is it out of (huge) "
		       "pages, or is its memory broken?";
	else if (error == EOPNOTSUPP)
		hint = "the guest does what KVM cannot emulate: it runs where there is no RAM, or "
		       "accesses a device by an instruction that is not a plain load or store";
	errno = error;
	err("vCPU %u: KVM_RUN: %m; %s", vcpu->index, hint);
	return VCPU_EXIT_FAILED;
}

// Until something other than "go on" is to be told.
static enum vcpu_exit run_guest(struct vcpu *vcpu)
{
	struct kvm_vcpu *kvcpu = kvm_vcpu(vcpu);
	enum vcpu_exit exit;

	do {
		int error = ioctl(kvcpu->fd, KVM_RUN, NULL) == 0 ? 0 : errno;

		kvm_arch_after_run(vcpu);
		if (!error)
			exit = kvm_handle_exit(vcpu);
		else if (error == EINTR)
			return VCPU_EXIT_KICKED;
		else if (error == EAGAIN) // a vCPU that waited to be started has been
			exit = VCPU_EXIT_KICKED;
		else
			return run_failed(vcpu, error);
	} while (exit == VCPU_EXIT_KICKED);
	return exit;
}

// An exit is over, its registers written, only when KVM_RUN is entered again (api.rst,
// chapter 5): a vCPU that is reset meanwhile would get the old one's result.
static void finish_exit(struct kvm_vcpu *kvcpu)
{
	__atomic_store_n(&kvcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	ioctl(kvcpu->fd, KVM_RUN, NULL);
}

enum vcpu_exit kvm_run_vcpu(struct vcpu *vcpu)
{
	struct kvm_vcpu *kvcpu = kvm_vcpu(vcpu);
	enum vcpu_exit exit;

	let_kicks_in(true);
	atomic_store(&kvcpu->runner, (int)syscall(SYS_gettid));
	// Either a kick sees the runner, or KVM_RUN sees the kick's flag.
	atomic_thread_fence(memory_order_seq_cst);
	exit = run_guest(vcpu);
	if (exit != VCPU_EXIT_KICKED && exit != VCPU_EXIT_FAILED)
		finish_exit(kvcpu);
	kvm_posted_deliver(vcpu);
	atomic_store(&kvcpu->runner, 0);
	let_kicks_in(false);
	// A full barrier: what was written before the kick is read after this.
	__atomic_exchange_n(&kvcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	return exit;
}

void kvm_kick(struct vcpu *vcpu)
{
	struct kvm_vcpu *kvcpu = kvm_vcpu(vcpu);
	int runner;

	__atomic_store_n(&kvcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	atomic_thread_fence(memory_order_seq_cst);
	runner = atomic_load(&kvcpu->runner);
	if (runner)
		syscall(SYS_tgkill, getpid(), runner, KICK_SIGNAL);
}
