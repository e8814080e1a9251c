// SPDX-License-Identifier: GPL-2.0-or-later
// The composition root: order, failure at each step, reboot, and every end of a VM,
// with a fake machine around the scripted accelerator.

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device.h"
#include "fake-accel.h"
#include "machine.h"
#include "memory.h"
#include "riscv-accel.h"
#include "term.h"
#include "util.h"
#include "virtio.h"
#include "vm-config.h"
#include "vm.h"

#include <cmocka.h>

#define RAM_BASE 0x80000000ULL
#define SLOT_BASE 0x10000000ULL
#define SLOT_COUNT 3
#define BOOTS_MAX 4

// Where the rig can be told to fail, in the order in which vm.c gets there.
enum point {
	NOWHERE,
	AT_AVAILABLE,
	AT_PROBE,
	AT_LAYOUT,
	AT_VM_INIT,
	AT_MAP_RAM,
	AT_VCPU_INIT,
	AT_IRQCHIP,
	AT_PLATFORM,
	AT_SLOT,
	AT_LOAD,
	AT_RESET_VCPU,
	POINT_COUNT
};

struct rig {
	struct vm_config config;
	struct vm_parts parts;
	enum point fail_at;
	unsigned fail_boot; // AT_LOAD: at which boot
	struct machine *machine;
	struct power_sink power;
	struct device device;
	char kernel_path[32];
	char output_path[32];
	int saved_stderr;
	FILE *messages; // what went to stderr
	// What each boot's vCPU 0 does.
	const struct fake_step *scripts[BOOTS_MAX];
	unsigned script_steps[BOOTS_MAX];
	// Counted.
	unsigned boots;
	unsigned vm_inits, vm_exits, vcpu_inits, vcpu_exits;
	unsigned machine_frees, machine_resets;
	unsigned device_resets, device_frees;
	bool device_freed_before_machine;
};

static struct rig *rig_of(const struct vm_config *config)
{
	return container_of(config, struct rig, config);
}

static int fail_here(struct rig *rig, enum point point)
{
	return rig->fail_at == point ? -EIO : 0;
}

// -- the accelerator: the fake one, counted and failing on demand --

static atomic_bool unavailable;
static const struct riscv_accel_ops rig_riscv; // the rig's kernels are for riscv64

static int available(struct accel *accel, char *why, size_t size)
{
	if (unavailable)
		snprintf(why, size, "it has the day off");
	else
		accel->probed_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return unavailable ? -ENODEV : 0;
}

static int rig_vm_init(struct accel *accel)
{
	struct rig *rig = rig_of(accel->config);

	if (fail_here(rig, AT_VM_INIT))
		return -EIO;
	rig->vm_inits++;
	close(accel->probed_fd); // what vm_init has taken over is its own
	accel->probed_fd = 0;
	return fake_accel_ops.vm_init(accel);
}

static void rig_vm_exit(struct accel *accel)
{
	rig_of(accel->config)->vm_exits++;
	fake_accel_ops.vm_exit(accel);
}

static int rig_map_ram(struct accel *accel)
{
	assert_int_equal(accel->memory->bank_count, 1); // RAM comes before
	return fail_here(rig_of(accel->config), AT_MAP_RAM);
}

static int rig_vcpu_init(struct vcpu *vcpu)
{
	struct rig *rig = rig_of(vcpu->accel->config);

	// The last one fails, so that the ones before must go.
	if (vcpu->index == rig->config.cpus - 1 && fail_here(rig, AT_VCPU_INIT))
		return -EIO;
	rig->vcpu_inits++;
	return fake_accel_ops.vcpu_init(vcpu);
}

static void rig_vcpu_exit(struct vcpu *vcpu)
{
	rig_of(vcpu->accel->config)->vcpu_exits++;
	fake_accel_ops.vcpu_exit(vcpu);
}

// -- the machine --

static int rig_probe(const struct vm_config *config, const struct accel_ops *accel)
{
	return fail_here(rig_of(config), AT_PROBE);
}

static int rig_layout(struct machine *machine)
{
	struct rig *rig = rig_of(machine->config);

	rig->machine = machine;
	rig->power = machine->power;
	machine->priv = malloc(1); // a leak if free() is not called after a failure
	if (fail_here(rig, AT_LAYOUT))
		return -EIO;
	return memory_add_ram(machine->memory, RAM_BASE, machine->config->memory_bytes);
}

static int rig_init_irqchip(struct machine *machine)
{
	assert_int_equal(machine->vcpus->count, machine->config->cpus); // vCPUs come before
	return fail_here(rig_of(machine->config), AT_IRQCHIP);
}

static void device_reset(struct device *dev)
{
	container_of(dev, struct rig, device)->device_resets++;
}

static void device_free(struct device *dev)
{
	struct rig *rig = container_of(dev, struct rig, device);

	rig->device_frees++;
	rig->device_freed_before_machine = rig->machine_frees == 0;
	device_exit(dev);
}

static int rig_add_platform_devices(struct machine *machine)
{
	static const struct device_ops ops = { .reset = device_reset, .free = device_free };
	struct rig *rig = rig_of(machine->config);

	if (fail_here(rig, AT_PLATFORM))
		return -EIO;
	device_init(&rig->device, "rig", &ops, NULL, 0, 0, (struct irq_line){ NULL });
	return device_list_add(machine->devices, machine->mmio, &rig->device);
}

static int rig_virtio_slot(struct machine *machine, unsigned index, struct machine_slot *slot)
{
	if (fail_here(rig_of(machine->config), AT_SLOT))
		return -EIO;
	if (index >= SLOT_COUNT)
		return -ENOSPC;
	*slot = (struct machine_slot){
		.base = SLOT_BASE + index * 0x1000ULL,
		.size_bytes = VIRTIO_MMIO_SIZE,
	};
	return 0;
}

static int rig_load(struct machine *machine)
{
	struct rig *rig = rig_of(machine->config);
	int ret = rig->boots == rig->fail_boot ? fail_here(rig, AT_LOAD) : 0;

	rig->boots++;
	return ret;
}

static const void *rig_device_tree(struct machine *machine, size_t *size_bytes)
{
	*size_bytes = 4;
	return "tree";
}

static int rig_reset_vcpu(struct machine *machine, struct vcpu *vcpu)
{
	struct rig *rig = rig_of(machine->config);
	unsigned boot = rig->boots - 1;

	if (vcpu->index == 0 && boot < BOOTS_MAX && rig->scripts[boot])
		fake_vcpu_script(vcpu, rig->scripts[boot], rig->script_steps[boot]);
	return fail_here(rig, AT_RESET_VCPU);
}

static void rig_reset(struct machine *machine)
{
	rig_of(machine->config)->machine_resets++;
}

static enum vcpu_exit rig_guest_call(struct machine *machine, struct vcpu *vcpu,
				     struct guest_call *call)
{
	return (enum vcpu_exit)call->extension;
}

static void rig_free(struct machine *machine)
{
	rig_of(machine->config)->machine_frees++;
	free(machine->priv);
}

static const struct machine_ops rig_machine = {
	.name = "rig",
	.arch = IMAGE_ARCH_RISCV64,
	.probe = rig_probe,
	.layout = rig_layout,
	.init_irqchip = rig_init_irqchip,
	.add_platform_devices = rig_add_platform_devices,
	.virtio_slot = rig_virtio_slot,
	.load = rig_load,
	.device_tree = rig_device_tree,
	.reset_vcpu = rig_reset_vcpu,
	.reset = rig_reset,
	.guest_call = rig_guest_call,
	.free = rig_free,
};

static const struct machine_ops *const rig_machines[] = { &rig_machine, NULL };

static struct accel_ops rig_accel; // the fake one's table with the functions above
static const struct accel_ops *const rig_accels[] = { &rig_accel, NULL };

// -- the rig --

// An Image of a header alone, for @magic_offset and @magic of an architecture.
static void write_kernel(const char *path, unsigned magic_offset, const char *magic)
{
	uint8_t header[4096] = { 0 };
	int fd = open(path, O_WRONLY | O_TRUNC);

	header[10] = 0x20; // text_offset 2 MiB
	header[17] = 0x10; // image_size 4096
	header[32] = 2;    // version 0.2
	memcpy(header + 48, "RISCV\0\0", 8);
	memcpy(header + magic_offset, magic, 4);
	assert_int_equal(write(fd, header, sizeof(header)), sizeof(header));
	close(fd);
}

static void make_file(char *path, size_t size)
{
	int fd;

	snprintf(path, size, "/tmp/test_vm-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
}

static void rig_init(struct rig *rig)
{
	memset(rig, 0, sizeof(*rig));
	make_file(rig->kernel_path, sizeof(rig->kernel_path));
	make_file(rig->output_path, sizeof(rig->output_path));
	write_kernel(rig->kernel_path, 56, "RSC\x05");
	rig->config = (struct vm_config){
		.name = "rig",
		.kernel_path = rig->kernel_path,
		.memory_bytes = MIB,
		.cpus = 2,
	};
	rig->parts = (struct vm_parts){
		.machines = rig_machines,
		.accels = rig_accels,
		.console_in_fd = -1,
		.console_out_fd = open(rig->output_path, O_WRONLY),
	};
	rig->messages = tmpfile();
	rig->saved_stderr = dup(STDERR_FILENO);
	dup2(fileno(rig->messages), STDERR_FILENO);
	unavailable = false;
}

static void rig_exit(struct rig *rig)
{
	dup2(rig->saved_stderr, STDERR_FILENO);
	close(rig->saved_stderr);
	fclose(rig->messages);
	close(rig->parts.console_out_fd);
	unlink(rig->kernel_path);
	unlink(rig->output_path);
}

static void script(struct rig *rig, unsigned boot, const struct fake_step *steps, unsigned count)
{
	rig->scripts[boot] = steps;
	rig->script_steps[boot] = count;
}

// What was said on stderr so far.
static const char *messages(struct rig *rig)
{
	static char text[32768];
	ssize_t len = pread(fileno(rig->messages), text, sizeof(text) - 1, 0);

	text[MAX(len, 0)] = '\0';
	return text;
}

#define assert_said(rig, text) assert_non_null(strstr(messages(rig), text))
#define assert_not_said(rig, text) assert_null(strstr(messages(rig), text))

static int run(struct rig *rig)
{
	struct vm *vm;
	int status;

	assert_int_equal(vm_create(&vm, &rig->config, &rig->parts), 0);
	status = vm_run(vm);
	vm_free(vm);
	return status;
}

static unsigned open_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static bool is_blocked(int signal)
{
	sigset_t set;

	pthread_sigmask(SIG_BLOCK, NULL, &set);
	return sigismember(&set, signal);
}

// -- creation --

static void assert_nothing_left(struct rig *rig, unsigned descriptors)
{
	assert_int_equal(rig->vm_inits, rig->vm_exits);
	assert_int_equal(rig->vcpu_inits, rig->vcpu_exits);
	assert_true(rig->machine_frees <= 1);
	assert_int_equal(open_descriptors(), descriptors);
	assert_false(is_blocked(SIGTERM));
}

static void test_failure_at_each_step(void **state)
{
	for (enum point point = NOWHERE + 1; point < POINT_COUNT; point++) {
		struct rig rig;
		struct vm *vm = NULL;
		unsigned descriptors;

		rig_init(&rig);
		rig.fail_at = point;
		rig.config.rng = true;
		unavailable = point == AT_AVAILABLE;
		descriptors = open_descriptors();
		assert_true(vm_create(&vm, &rig.config, &rig.parts) < 0);
		assert_null(vm);
		assert_nothing_left(&rig, descriptors);
		assert_int_equal(rig.machine_frees, point >= AT_LAYOUT);
		assert_int_equal(rig.device_frees, point > AT_PLATFORM);
		rig_exit(&rig);
	}
}

static void test_create_and_free_without_run(void **state)
{
	struct rig rig;
	struct vm *vm;
	unsigned descriptors;

	rig_init(&rig);
	rig.config.rng = true;
	rig.config.console = CONSOLE_VIRTIO;
	descriptors = open_descriptors();
	assert_int_equal(vm_create(&vm, &rig.config, &rig.parts), 0);
	assert_true(is_blocked(SIGTERM));
	vm_free(vm);
	assert_nothing_left(&rig, descriptors);
	assert_int_equal(rig.machine_frees, 1);
	assert_int_equal(rig.device_frees, 1);
	assert_true(rig.device_freed_before_machine);
	vm_free(NULL);
	rig_exit(&rig);
}

static void test_no_kernel(void **state)
{
	struct rig rig;
	struct vm *vm;

	rig_init(&rig);
	unlink(rig.kernel_path);
	assert_int_equal(vm_create(&vm, &rig.config, &rig.parts), -ENOENT);
	assert_said(&rig, rig.kernel_path);
	rig_exit(&rig);
}

static void test_kernel_of_another_machine(void **state)
{
	struct rig rig;
	struct vm *vm;

	rig_init(&rig);
	write_kernel(rig.kernel_path, 56, "ARM\x64");
	assert_true(vm_create(&vm, &rig.config, &rig.parts) < 0);
	assert_said(&rig, "is for arm64 (Image), and this kvik runs rig kernels only; "
			  "an arm64 host with KVM, or qemu-system-aarch64 would run it");
	rig_exit(&rig);
}

static void test_accelerators(void **state)
{
	static const struct {
		enum accel_kind kind;
		bool unavailable;
		const char *said;
	} cases[] = {
		{ ACCEL_KVM, false,
		  "--accel kvm: this build of kvik does not contain it; use "
		  "--accel soft" },
		{ ACCEL_SOFT, true, "--accel soft: it has the day off; use --accel auto" },
		{ ACCEL_AUTO, true, "--accel auto: it has the day off" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rig rig;
		struct vm *vm;

		rig_init(&rig);
		rig.config.accel = cases[i].kind;
		unavailable = cases[i].unavailable;
		assert_true(vm_create(&vm, &rig.config, &rig.parts) < 0);
		assert_said(&rig, cases[i].said);
		rig_exit(&rig);
	}
}

static void test_accel_kind_names(void **state)
{
	assert_string_equal(accel_kind_name(ACCEL_AUTO), "auto");
	assert_string_equal(accel_kind_name(ACCEL_KVM), "kvm");
	assert_string_equal(accel_kind_name(ACCEL_SOFT), "soft");
}

static void test_too_many_devices(void **state)
{
	struct rig rig;
	struct vm *vm;
	struct disk_config disks[SLOT_COUNT + 1];

	rig_init(&rig);
	for (unsigned i = 0; i < ARRAY_SIZE(disks); i++)
		disks[i] = (struct disk_config){ .path = rig.kernel_path, .read_only = true };
	rig.config.disks = disks;
	rig.config.disk_count = ARRAY_SIZE(disks);
	assert_int_equal(vm_create(&vm, &rig.config, &rig.parts), -ENOSPC);
	assert_said(&rig, "the rig machine has room for 3 virtio devices only");
	rig_exit(&rig);
}

static void test_dump_device_tree(void **state)
{
	struct rig rig;
	struct vm *vm;
	char path[32], text[8] = "";
	int fd;

	rig_init(&rig);
	make_file(path, sizeof(path));
	rig.config.dump_dtb_path = path;
	assert_int_equal(vm_create(&vm, &rig.config, &rig.parts), 0);
	vm_free(vm);
	fd = open(path, O_RDONLY);
	assert_int_equal(read(fd, text, sizeof(text)), 4);
	assert_string_equal(text, "tree");
	close(fd);
	unlink(path);
	rig.config.dump_dtb_path = "/dev/full";
	assert_int_equal(vm_create(&vm, &rig.config, &rig.parts), -ENOSPC);
	rig_exit(&rig);
}

// -- running --

static void test_poweroff(void **state)
{
	static const struct fake_step steps[] = { FAKE_EXIT(VCPU_EXIT_SHUTDOWN) };
	struct rig rig;

	rig_init(&rig);
	script(&rig, 0, steps, ARRAY_SIZE(steps));
	assert_int_equal(run(&rig), VM_STATUS_OK);
	assert_int_equal(rig.boots, 1);
	assert_string_equal(messages(&rig), "");
	rig_exit(&rig);
}

static void test_guest_call_reaches_the_machine(void **state)
{
	static const struct fake_step steps[] = { FAKE_CALL(VCPU_EXIT_SHUTDOWN, 0, 0) };
	struct rig rig;

	rig_init(&rig);
	script(&rig, 0, steps, ARRAY_SIZE(steps));
	assert_int_equal(run(&rig), VM_STATUS_OK);
	rig_exit(&rig);
}

static void test_reboots_then_poweroff(void **state)
{
	static const struct fake_step again[] = { FAKE_EXIT(VCPU_EXIT_RESET) };
	static const struct fake_step off[] = { FAKE_EXIT(VCPU_EXIT_SHUTDOWN) };
	struct rig rig;

	rig_init(&rig);
	rig.config.rng = true;
	rig.config.console = CONSOLE_VIRTIO;
	script(&rig, 0, again, ARRAY_SIZE(again));
	script(&rig, 1, again, ARRAY_SIZE(again));
	script(&rig, 2, off, ARRAY_SIZE(off));
	assert_int_equal(run(&rig), VM_STATUS_OK);
	assert_int_equal(rig.boots, 3);
	assert_int_equal(rig.device_resets, 2);
	assert_int_equal(rig.machine_resets, 2);
	rig_exit(&rig);
}

static void test_no_reboot(void **state)
{
	static const struct fake_step again[] = { FAKE_EXIT(VCPU_EXIT_RESET) };
	struct rig rig;

	rig_init(&rig);
	rig.config.no_reboot = true;
	script(&rig, 0, again, ARRAY_SIZE(again));
	assert_int_equal(run(&rig), VM_STATUS_OK);
	assert_int_equal(rig.boots, 1);
	rig_exit(&rig);
}

static void test_reload_fails(void **state)
{
	static const struct fake_step again[] = { FAKE_EXIT(VCPU_EXIT_RESET) };
	struct rig rig;

	rig_init(&rig);
	rig.fail_at = AT_LOAD;
	rig.fail_boot = 1;
	script(&rig, 0, again, ARRAY_SIZE(again));
	assert_int_equal(run(&rig), VM_STATUS_DIED);
	assert_said(&rig, "the guest died: it could not be loaded again");
	rig_exit(&rig);
}

static void test_crash_and_failure(void **state)
{
	static const struct fake_step crash[] = { FAKE_EXIT(VCPU_EXIT_CRASH) };
	static const struct fake_step failed[] = { FAKE_EXIT(VCPU_EXIT_FAILED) };
	struct rig rig;

	rig_init(&rig);
	script(&rig, 0, crash, ARRAY_SIZE(crash));
	assert_int_equal(run(&rig), VM_STATUS_DIED);
	assert_said(&rig, "rig: the guest died: it reported a crash");
	assert_said(&rig, "rig: the registers of vCPU 0:");
	assert_said(&rig, "rig: | step 1 of 1");
	rig_exit(&rig);

	rig_init(&rig);
	script(&rig, 0, failed, ARRAY_SIZE(failed));
	assert_int_equal(run(&rig), VM_STATUS_DIED);
	assert_said(&rig, "the guest died: the accelerator cannot go on");
	rig_exit(&rig);
}

static void say_and_panic(struct vcpu *vcpu, void *arg)
{
	static const char text[] = "one\r\nKernel panic - not syncing: a test\r\nthree\r\n";
	struct rig *rig = rig_of(vcpu->accel->config);

	assert_int_equal(term_write(rig->machine->term, (const uint8_t *)text, strlen(text)),
			 strlen(text));
}

static void test_panic(void **state)
{
	static const struct fake_step reset[] = { FAKE_FUNCTION(say_and_panic, NULL),
						  FAKE_EXIT(VCPU_EXIT_RESET) };
	static const struct fake_step off[] = { FAKE_FUNCTION(say_and_panic, NULL),
						FAKE_EXIT(VCPU_EXIT_SHUTDOWN) };
	struct rig rig;

	for (unsigned i = 0; i < 2; i++) {
		rig_init(&rig);
		script(&rig, 0, i ? off : reset, 2);
		assert_int_equal(run(&rig), VM_STATUS_DIED);
		assert_int_equal(rig.boots, 1);
		assert_said(&rig, "rig: the guest died: Kernel panic - not syncing: a test\n");
		assert_said(&rig, "rig: the last lines of its console:\nrig: | one\n");
		assert_said(&rig, "rig: | three\n");
		assert_not_said(&rig, "registers");
		rig_exit(&rig);
	}
}

static void test_report_is_not_shown_twice(void **state)
{
	static const struct fake_step steps[] = { FAKE_FUNCTION(say_and_panic, NULL),
						  FAKE_EXIT(VCPU_EXIT_RESET) };
	struct rig rig;

	rig_init(&rig);
	script(&rig, 0, steps, ARRAY_SIZE(steps));
	close(rig.parts.console_out_fd);
	rig.parts.console_out_fd = dup(STDERR_FILENO);
	assert_int_equal(run(&rig), VM_STATUS_DIED);
	assert_said(&rig, "the guest died: Kernel panic");
	assert_not_said(&rig, "| three");
	rig_exit(&rig);
}

static void test_report_is_cut_to_lines(void **state)
{
	static const struct fake_step steps[] = { FAKE_EXIT(VCPU_EXIT_CRASH) };
	struct rig rig;
	struct vm *vm;

	rig_init(&rig);
	script(&rig, 0, steps, ARRAY_SIZE(steps));
	assert_int_equal(vm_create(&vm, &rig.config, &rig.parts), 0);
	for (unsigned i = 1; i <= 50; i++) {
		char line[16];

		snprintf(line, sizeof(line), "line %u\n", i);
		term_write(rig.machine->term, (const uint8_t *)line, strlen(line));
	}
	assert_int_equal(vm_run(vm), VM_STATUS_DIED);
	vm_free(vm);
	assert_not_said(&rig, "| line 30\n");
	assert_said(&rig, "| line 31\n");
	assert_said(&rig, "| line 50\n");
	rig_exit(&rig);
}

static void press_power_button(struct vcpu *vcpu, void *arg)
{
	struct rig *rig = rig_of(vcpu->accel->config);

	rig->power.request(rig->power.opaque, VCPU_EXIT_SHUTDOWN);
}

static void test_power_sink(void **state)
{
	static const struct fake_step steps[] = { FAKE_FUNCTION(press_power_button, NULL) };
	struct rig rig;

	rig_init(&rig);
	script(&rig, 0, steps, ARRAY_SIZE(steps));
	assert_int_equal(run(&rig), VM_STATUS_OK);
	rig_exit(&rig);
}

static void send_signal(struct vcpu *vcpu, void *arg)
{
	kill(getpid(), *(int *)arg);
}

static void test_signals(void **state)
{
	static int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };

	for (unsigned i = 0; i < ARRAY_SIZE(signals); i++) {
		const struct fake_step steps[] = { FAKE_FUNCTION(send_signal, &signals[i]) };
		struct rig rig;

		rig_init(&rig);
		script(&rig, 0, steps, ARRAY_SIZE(steps));
		assert_int_equal(run(&rig), 128 + signals[i]);
		assert_false(is_blocked(signals[i]));
		rig_exit(&rig);
	}
}

static void hang_and_send_signals(struct vcpu *vcpu, void *arg)
{
	for (unsigned i = 0; i < 500; i++) {
		kill(getpid(), SIGTERM);
		usleep(10000);
	}
	_exit(99);
}

// A vCPU that never comes back from a device holds up the end.
static void test_second_signal_ends_the_process(void **state)
{
	static const struct fake_step steps[] = { FAKE_FUNCTION(hang_and_send_signals, NULL) };
	struct rig rig;
	int status;
	pid_t child;

	rig_init(&rig);
	script(&rig, 0, steps, ARRAY_SIZE(steps));
	child = fork();
	if (child == 0)
		_exit(run(&rig));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
	rig_exit(&rig);
}

// What vCPU 1 wants when vCPU 0 has reset must not outlive the reset.
static void test_requests_of_before_a_reset(void **state)
{
	static const struct fake_step again[] = { FAKE_EXIT(VCPU_EXIT_RESET) };
	static const struct fake_step off[] = { FAKE_EXIT(VCPU_EXIT_SHUTDOWN) };

	for (unsigned i = 0; i < 50; i++) {
		struct rig rig;
		struct vm *vm;

		rig_init(&rig);
		script(&rig, 0, again, ARRAY_SIZE(again));
		script(&rig, 1, off, ARRAY_SIZE(off));
		assert_int_equal(vm_create(&vm, &rig.config, &rig.parts), 0);
		fake_vcpu_script(&rig.machine->vcpus->vcpus[1], again, ARRAY_SIZE(again));
		assert_int_equal(vm_run(vm), VM_STATUS_OK);
		assert_in_range(rig.boots, 2, 3); // vCPU 1 resets once, with vCPU 0 or after
		vm_free(vm);
		rig_exit(&rig);
	}
}

static void test_two_vms(void **state)
{
	static const struct fake_step off[] = { FAKE_EXIT(VCPU_EXIT_SHUTDOWN) };
	static const struct fake_step crash[] = { FAKE_EXIT(VCPU_EXIT_CRASH) };
	struct rig a, b;
	struct vm *vm_a, *vm_b;

	rig_init(&a);
	rig_init(&b);
	script(&a, 0, off, ARRAY_SIZE(off));
	script(&b, 0, crash, ARRAY_SIZE(crash));
	assert_int_equal(vm_create(&vm_a, &a.config, &a.parts), 0);
	assert_int_equal(vm_create(&vm_b, &b.config, &b.parts), 0);
	assert_int_equal(vm_run(vm_b), VM_STATUS_DIED);
	assert_int_equal(vm_run(vm_a), VM_STATUS_OK);
	vm_free(vm_b);
	vm_free(vm_a);
	rig_exit(&b);
	rig_exit(&a);
}

static int setup(void **state)
{
	rig_accel = fake_accel_ops;
	rig_accel.name = "soft";
	rig_accel.riscv = &rig_riscv;
	rig_accel.available = available;
	rig_accel.vm_init = rig_vm_init;
	rig_accel.vm_exit = rig_vm_exit;
	rig_accel.map_ram = rig_map_ram;
	rig_accel.vcpu_init = rig_vcpu_init;
	rig_accel.vcpu_exit = rig_vcpu_exit;
	// cmocka's own messages must not go where rig_init() sends descriptor 2.
	stderr = fdopen(dup(STDERR_FILENO), "w");
	alarm(60); // a hang is a failure
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failure_at_each_step),
		cmocka_unit_test(test_create_and_free_without_run),
		cmocka_unit_test(test_no_kernel),
		cmocka_unit_test(test_kernel_of_another_machine),
		cmocka_unit_test(test_accelerators),
		cmocka_unit_test(test_accel_kind_names),
		cmocka_unit_test(test_too_many_devices),
		cmocka_unit_test(test_dump_device_tree),
		cmocka_unit_test(test_poweroff),
		cmocka_unit_test(test_guest_call_reaches_the_machine),
		cmocka_unit_test(test_reboots_then_poweroff),
		cmocka_unit_test(test_no_reboot),
		cmocka_unit_test(test_reload_fails),
		cmocka_unit_test(test_crash_and_failure),
		cmocka_unit_test(test_panic),
		cmocka_unit_test(test_report_is_not_shown_twice),
		cmocka_unit_test(test_report_is_cut_to_lines),
		cmocka_unit_test(test_power_sink),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_second_signal_ends_the_process),
		cmocka_unit_test(test_requests_of_before_a_reset),
		cmocka_unit_test(test_two_vms),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
