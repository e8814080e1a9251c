// SPDX-License-Identifier: GPL-2.0-or-later
// The composition root: builds a VM from its parts and takes it apart.
//
// The only file that names concrete parts. Everything is made in the one order of
// the table vm_steps[] and freed in the opposite one.
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "balloon.h"
#include "disk.h"
#ifdef HAVE_KVM
#include "kvm-host.h"
#endif
#include "log.h"
#include "net.h"
#include "riscv-soft.h"
#include "term.h"
#include "virtio-devices.h"
#include "virtio.h"
#include "vm-priv.h"

static const struct machine_ops *const machines[] = {
// KVM runs guests of its own architecture only.
#ifdef __aarch64__
	&arm_machine,
#endif
#ifdef __x86_64__
	&x86_machine,
#endif
	&riscv_machine,
	NULL,
};
static const struct accel_ops *const accels[] = {
#ifdef HAVE_KVM
	&kvm_accel_ops,
#endif
	&soft_accel_ops,
	NULL,
};

const struct vm_parts vm_build_parts = {
	.machines = machines,
	.accels = accels,
	.console_in_fd = STDIN_FILENO,
	.console_out_fd = STDOUT_FILENO,
	.has_control = true,
};

const char *accel_kind_name(enum accel_kind kind)
{
	static const char *const names[] = { "auto", "kvm", "soft" };

	static_assert(ARRAY_SIZE(names) == ACCEL_COUNT, "a name for each kind");
	return names[kind];
}

// -- building: one function a step, in the order of vm_steps[] --

static const char *image_kind_name(enum image_kind kind)
{
	static const char *const names[] = { "Image", "Image", "zImage", "bzImage", "ELF" };

	static_assert(ARRAY_SIZE(names) == IMAGE_KIND_COUNT, "a name for each kind");
	return names[kind];
}

// "riscv64", or "riscv64, arm64".
static const char *machine_names(const struct vm *vm, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (const struct machine_ops *const *ops = vm->parts->machines; *ops && used < size; ops++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "",
					 (*ops)->name);
	return text;
}

static int wrong_architecture(const struct vm *vm)
{
	static const char *const runners[] = {
		[IMAGE_ARCH_RISCV64] = "qemu-system-riscv64",
		[IMAGE_ARCH_ARM64] = "an arm64 host with KVM, or qemu-system-aarch64",
		[IMAGE_ARCH_X86_64] = "an x86-64 host with KVM, or qemu-system-x86_64",
	};
	const struct image *kernel = &vm->kernel;
	const char *wrapper = kernel->wrapper;
	char names[64];

	static_assert(ARRAY_SIZE(runners) == IMAGE_ARCH_COUNT, "a hint for each architecture");
	return fail_msg(ENOTSUP,
			"%s: is for %s (%s%s%s), and this kvik runs %s kernels only; "
			"%s would run it",
			kernel->path, image_arch_name(kernel->arch), image_kind_name(kernel->kind),
			wrapper ? ", packed by " : "", wrapper ? wrapper : "",
			machine_names(vm, names, sizeof(names)), runners[kernel->arch]);
}

static int open_kernel(struct vm *vm)
{
	return image_open(&vm->kernel, vm->config->kernel_path);
}

static void close_kernel(struct vm *vm)
{
	image_close(&vm->kernel);
}

static int choose_machine(struct vm *vm)
{
	for (const struct machine_ops *const *ops = vm->parts->machines; *ops; ops++) {
		if ((*ops)->arch == vm->kernel.arch) {
			vm->machine.ops = *ops;
			return 0;
		}
	}
	return wrong_architecture(vm);
}

// 0 when @ops runs this VM's guest here; else -errno. @why then says what is missing, or
// stays as it is where the accelerator is not made for such guests.
static int try_accel(struct vm *vm, const struct accel_ops *ops, char *why, size_t size)
{
	enum image_arch arch = vm->kernel.arch;
	const void *const halves[] = {
		[IMAGE_ARCH_RISCV64] = ops->riscv,
		[IMAGE_ARCH_ARM64] = ops->arm,
		[IMAGE_ARCH_X86_64] = ops->x86,
	};

	static_assert(ARRAY_SIZE(halves) == IMAGE_ARCH_COUNT, "each architecture");
	if (halves[arch])
		return ops->available(&vm->accel, why, size);
	if (vm->config->accel != ACCEL_AUTO)
		snprintf(why, size, "it runs no %s guests on this host, and %s is for %s",
			 image_arch_name(arch), vm->config->kernel_path, image_arch_name(arch));
	return -ENOTSUP;
}

static int no_accel(const struct vm *vm, const char *why)
{
	enum accel_kind kind = vm->config->accel;

	if (!why[0])
		why = "this build of kvik does not contain it";
	if (vm->kernel.arch == IMAGE_ARCH_RISCV64)
		return fail_msg(ENOTSUP, "--accel %s: %s; use --accel %s", accel_kind_name(kind),
				why, kind == ACCEL_SOFT ? "auto" : "soft");
	return fail_msg(ENOTSUP, "--accel %s: %s; only riscv64 guests run without KVM",
			accel_kind_name(kind), why);
}

static void drop_probed(struct vm *vm)
{
	if (vm->accel.probed_fd)
		close(vm->accel.probed_fd);
	vm->accel.probed_fd = 0;
}

static int take_accel(struct vm *vm, const struct accel_ops *ops)
{
	int err = vm->machine.ops->probe(vm->config, ops);

	vm->accel.ops = ops;
	if (err)
		drop_probed(vm);
	return err;
}

static int choose_accel(struct vm *vm)
{
	enum accel_kind kind = vm->config->accel;
	char why[512] = "";

	vm->accel.config = vm->config;
	for (const struct accel_ops *const *ops = vm->parts->accels; *ops; ops++) {
		if (kind != ACCEL_AUTO && strcmp((*ops)->name, accel_kind_name(kind)) != 0)
			continue;
		if (try_accel(vm, *ops, why, sizeof(why)) == 0) {
			if (why[0])
				info("%s; so --accel %s runs the guest", why, (*ops)->name);
			return take_accel(vm, *ops);
		}
	}
	return no_accel(vm, why);
}

static int make_loop(struct vm *vm)
{
	int err = loop_init(&vm->loop);

	if (err)
		return err;
	vm->requested.call = vm_handle_requests;
	err = loop_add_fd(&vm->loop, &vm->signals.event, EPOLLIN);
	if (err)
		loop_exit(&vm->loop);
	return err;
}

static void free_loop(struct vm *vm)
{
	loop_remove_fd(&vm->loop, &vm->signals.event);
	loop_exit(&vm->loop);
}

static int make_term(struct vm *vm)
{
	struct term_events events = { .quit = vm_user_quit, .opaque = vm };

	return term_create(&vm->term, &vm->loop, vm->parts->console_in_fd,
			   vm->parts->console_out_fd, events);
}

static void free_term(struct vm *vm)
{
	term_free(vm->term);
}

static int add_doorbell(void *opaque, const struct bus_doorbell *doorbell)
{
	struct vm *vm = opaque;

	return vm->accel.ops->doorbell_fd(&vm->accel, doorbell);
}

static int show_page(void *opaque, const struct bus_page *page, const void *bytes)
{
	struct vm *vm = opaque;

	return vm->accel.ops->show_page(&vm->accel, page, bytes);
}

static int make_buses(struct vm *vm)
{
	bus_init(&vm->mmio);
	bus_init(&vm->pio);
	vm->mmio.accel_opaque = vm;
	if (vm->accel.ops->doorbell_fd)
		vm->mmio.add_doorbell = add_doorbell;
	if (vm->accel.ops->show_page)
		vm->mmio.show_page = show_page;
	return 0;
}

static void free_buses(struct vm *vm)
{
	bus_exit(&vm->pio);
	bus_exit(&vm->mmio);
}

static int begin_machine(struct vm *vm)
{
	vm->machine.config = vm->config;
	vm->machine.kernel = &vm->kernel;
	vm->machine.memory = &vm->memory;
	vm->machine.mmio = &vm->mmio;
	vm->machine.pio = &vm->pio;
	vm->machine.accel = &vm->accel;
	vm->machine.vcpus = &vm->vcpus;
	vm->machine.devices = &vm->devices;
	vm->machine.loop = &vm->loop;
	vm->machine.term = vm->term;
	vm->machine.power = (struct power_sink){ .request = vm_request, .opaque = vm };
	memory_init(&vm->memory);
	vm->memory.hugetlbfs = vm->config->hugetlbfs;
	return 0;
}

static void free_machine(struct vm *vm)
{
	vm->machine.ops->free(&vm->machine);
	memory_exit(&vm->memory);
}

static int add_memory(struct vm *vm)
{
	int err = vm->machine.ops->layout(&vm->machine);

	vm->memory.fresh = !err;
	return err;
}

static int start_accel(struct vm *vm)
{
	vm->accel.memory = &vm->memory;
	vm->accel.vcpus = &vm->vcpus;
	return vm->accel.ops->vm_init(&vm->accel);
}

static void stop_accel(struct vm *vm)
{
	vm->accel.ops->vm_exit(&vm->accel);
}

static int map_memory(struct vm *vm)
{
	return vm->accel.ops->map_ram(&vm->accel);
}

static int make_vcpus(struct vm *vm)
{
	struct vcpu_host host = {
		.guest_call = vm_guest_call,
		.exited = vm_vcpu_exited,
		.opaque = vm,
		.loop = &vm->loop,
	};

	return vcpu_set_init(&vm->vcpus, &vm->accel, vm->config->cpus, &vm->mmio, &vm->pio, host);
}

static void free_vcpus(struct vm *vm)
{
	vcpu_set_exit(&vm->vcpus);
}

static int add_irqchip(struct vm *vm)
{
	return vm->machine.ops->init_irqchip(&vm->machine);
}

static int add_platform_devices(struct vm *vm)
{
	return vm->machine.ops->add_platform_devices(&vm->machine);
}

static void free_devices(struct vm *vm)
{
	device_list_free(&vm->devices);
}

// -- virtio devices --

static int next_virtio_slot(struct vm *vm, const char *what, struct machine_slot *slot)
{
	int err = vm->machine.ops->virtio_slot(&vm->machine, vm->virtio_count, slot);

	if (err == -ENOSPC)
		return fail_msg(ENOSPC,
				"%s: the %s machine has room for %u virtio devices only; "
				"give it fewer",
				what, vm->machine.ops->name, vm->virtio_count);
	return err;
}

static int add_virtio(struct vm *vm, struct virtio_device *vdev, const struct machine_slot *slot)
{
	struct device *dev;
	int err = virtio_mmio_create(&dev, vdev, slot->base, slot->size_bytes, slot->irq);

	if (err)
		return err;
	err = device_list_add(&vm->devices, &vm->mmio, dev);
	if (err)
		return err;
	vm->virtio_count++;
	return 0;
}

static int add_virtio_console(struct vm *vm)
{
	struct virtio_device *vdev;
	struct machine_slot slot;
	int err;

	if (vm->config->console != CONSOLE_VIRTIO)
		return 0;
	err = next_virtio_slot(vm, "--console virtio", &slot);
	if (err)
		return err;
	err = virtio_console_create(&vdev, "console", &vm->memory, &vm->loop, vm->term);
	return err ? err : add_virtio(vm, vdev, &slot);
}

static int add_disk(struct vm *vm, const struct disk_config *config, unsigned index)
{
	struct virtio_device *vdev;
	struct machine_slot slot;
	struct disk *disk;
	char name[24];
	int err;

	err = next_virtio_slot(vm, config->path, &slot);
	if (err)
		return err;
	err = disk_open(&disk, config);
	if (err)
		return err;
	snprintf(name, sizeof(name), "blk%u", index);
	err = virtio_blk_create(&vdev, name, &vm->memory, disk);
	return err ? err : add_virtio(vm, vdev, &slot);
}

static int add_disks(struct vm *vm)
{
	for (unsigned i = 0; i < vm->config->disk_count; i++) {
		int err = add_disk(vm, &vm->config->disks[i], i);

		if (err)
			return err;
	}
	return 0;
}

// A network that nobody asked for takes no slot from a device that somebody did.
static int next_net_slot(struct vm *vm, const struct net_config *config, struct machine_slot *slot)
{
	int err;

	if (!config->optional)
		return next_virtio_slot(vm, "--network", slot);
	err = vm->machine.ops->virtio_slot(&vm->machine, vm->virtio_count, slot);
	if (err == -ENOSPC)
		info("the guest has no network: the machine has no room for another device");
	return err;
}

static int add_net(struct vm *vm, const struct net_config *config, unsigned index)
{
	struct virtio_device *vdev;
	struct machine_slot slot;
	struct net *net;
	char name[24];
	int err;

	err = next_net_slot(vm, config, &slot);
	if (!err)
		err = net_open(&net, config);
	if (err)
		return config->optional ? 0 : err;
	snprintf(name, sizeof(name), "net%u", index);
	err = virtio_net_create(&vdev, name, &vm->memory, net, config);
	return err ? err : add_virtio(vm, vdev, &slot);
}

static int add_nets(struct vm *vm)
{
	for (unsigned i = 0; i < vm->config->net_count; i++) {
		int err = add_net(vm, &vm->config->nets[i], i);

		if (err)
			return err;
	}
	return 0;
}

static int add_balloon(struct vm *vm)
{
	struct balloon_events events = {
		.changed = vm_balloon_changed,
		.told = vm_balloon_told,
		.opaque = vm,
	};
	struct virtio_device *vdev;
	struct machine_slot slot;
	int err;

	if (!vm->config->balloon)
		return 0;
	err = next_virtio_slot(vm, "--balloon", &slot);
	if (err)
		return err;
	err = virtio_balloon_create(&vdev, "balloon", &vm->memory, &vm->loop, events);
	if (err)
		return err;
	vm->balloon = vdev;
	return add_virtio(vm, vdev, &slot);
}

static int add_virtio_rng(struct vm *vm)
{
	struct virtio_device *vdev;
	struct machine_slot slot;
	int err;

	if (!vm->config->rng)
		return 0;
	err = next_virtio_slot(vm, "--rng", &slot);
	if (err)
		return err;
	err = virtio_rng_create(&vdev, "rng", &vm->memory, &vm->loop);
	return err ? err : add_virtio(vm, vdev, &slot);
}

// The last, so that it takes no place from another; without room for it there is none.
static int add_power_button(struct vm *vm)
{
	struct virtio_device *vdev;
	struct machine_slot slot;
	int err;

	if (vm->machine.ops->power_button ||
	    vm->machine.ops->virtio_slot(&vm->machine, vm->virtio_count, &slot))
		return 0;
	err = virtio_input_create(&vdev, "button", &vm->memory, &vm->loop);
	if (!err)
		err = add_virtio(vm, vdev, &slot);
	if (!err)
		vm->power_button = vdev;
	return err;
}

// -- the guest's first state --

static int reset_vcpus(struct vm *vm)
{
	for (unsigned i = 0; i < vm->vcpus.count; i++) {
		int err = vm->machine.ops->reset_vcpu(&vm->machine, &vm->vcpus.vcpus[i]);

		if (err)
			return err;
	}
	return 0;
}

int vm_load_guest(struct vm *vm)
{
	int err = vm->machine.ops->load(&vm->machine);

	vm->memory.fresh = false;
	return err ? err : reset_vcpus(vm);
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t written = write(fd, data, len);

		if (written < 0 && errno != EINTR)
			return -errno;
		if (written > 0) {
			data += written;
			len -= (size_t)written;
		}
	}
	return 0;
}

static int dump_device_tree(struct vm *vm)
{
	const char *path = vm->config->dump_dtb_path;
	const void *tree;
	size_t size_bytes;
	int fd, err;

	if (!path)
		return 0;
	tree = vm->machine.ops->device_tree(&vm->machine, &size_bytes);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return fail(errno, "--dump-dtb %s: open", path);
	err = write_all(fd, tree, size_bytes);
	if (close(fd) < 0 && !err)
		err = -errno;
	return err ? fail(-err, "--dump-dtb %s: write", path) : 0;
}

static unsigned first_cpu(const cpu_set_t *cpus)
{
	unsigned cpu = 0;

	while (!CPU_ISSET(cpu, cpus))
		cpu++;
	return cpu;
}

static int pin_vcpus(struct vm *vm)
{
	const cpu_set_t *cpus = &vm->config->vcpu_affinity;
	int err = CPU_COUNT(cpus) ? vcpu_set_pin(&vm->vcpus, cpus) : 0;

	return err ? fail_msg(-err,
			      "--vcpu-affinity: none of the CPUs from %u on can be had; name "
			      "others ('taskset -cp $$' tells which there are)",
			      first_cpu(cpus)) :
		     0;
}

static int start_vcpus(struct vm *vm)
{
	int err = vcpu_set_start(&vm->vcpus);

	if (err)
		return err;
	err = pin_vcpus(vm);
	if (err)
		vcpu_set_stop(&vm->vcpus);
	return err;
}

static void stop_vcpus(struct vm *vm)
{
	vcpu_set_stop(&vm->vcpus);
}

// A step that fails has left nothing behind; the ones before it are undone in
// reverse order. Devices exist from the irqchip on; the list owns them. One
// line a step:
// clang-format off
static const struct vm_step {
	int (*init)(struct vm *vm);
	void (*undo)(struct vm *vm); // NULL: nothing to do
} vm_steps[] = {
	{ open_kernel, close_kernel },
	{ choose_machine, NULL },
	{ choose_accel, drop_probed },
	{ vm_catch_signals, vm_release_signals },
	{ vm_claim_name, vm_release_name },
	{ make_loop, free_loop },
	{ vm_watch_parent, vm_forget_parent },
	{ make_term, free_term },
	{ make_buses, free_buses },
	{ begin_machine, free_machine },
	{ add_memory, NULL },
	{ start_accel, stop_accel },
	{ map_memory, NULL },
	{ make_vcpus, free_vcpus },
	{ add_irqchip, free_devices },
	{ add_platform_devices, NULL },
	{ add_virtio_console, NULL },
	{ add_disks, NULL },
	{ add_virtio_rng, NULL },
	{ add_balloon, NULL },
	{ add_nets, NULL },
	{ add_power_button, NULL },
	{ vm_load_guest, NULL },
	{ dump_device_tree, NULL },
	{ vm_start_control, vm_stop_control },
	{ start_vcpus, stop_vcpus },
};
// clang-format on

int vm_create(struct vm **result, const struct vm_config *config, const struct vm_parts *parts)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	int err = 0;

	if (!vm)
		return fail(ENOMEM, "a new VM");
	vm->config = config;
	vm->parts = parts;
	vm->signals.event.fd = -1;
	while (!err && vm->steps_done < ARRAY_SIZE(vm_steps)) {
		err = vm_steps[vm->steps_done].init(vm);
		vm->steps_done += !err;
		if (!err)
			err = vm_pending_signal(vm);
	}
	if (err > 0)
		info("ended by signal %d (%s) before it ran", err, strsignal(err));
	if (err)
		vm_free(vm);
	else
		*result = vm;
	return err;
}

void vm_free(struct vm *vm)
{
	if (!vm)
		return;
	while (vm->steps_done) {
		const struct vm_step *step = &vm_steps[--vm->steps_done];

		if (step->undo)
			step->undo(vm);
	}
	free(vm);
}
