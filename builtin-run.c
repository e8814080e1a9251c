// SPDX-License-Identifier: GPL-2.0-or-later
// kvik run: boots a kernel in a new virtual machine.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "builtin.h"
#include "log.h"
#include "options.h"
#include "run-config.h"
#include "run-disk.h"
#include "run-net.h"
#include "run-service.h"
#include "run-values.h"
#include "vm-config.h"
#include "vm.h"

struct run_args {
	struct vm_config config;
	struct run_config given;
	const char *config_path; // NULL: none
	bool print_config;
	struct run_service service;
};

// -- what is not given --

static unsigned default_cpus(void)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);

	return (unsigned)MAX(MIN(online, RUN_CPUS_MAX), 1);
}

static uint64_t host_memory_bytes(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);

	return pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : 0;
}

// 64 MiB for each vCPU and three more, as lkvm does: a stock kernel with its
// initrd needs the 256 MiB that this is at least.
static uint64_t default_memory_bytes(unsigned cpus)
{
	uint64_t wanted = 64 * MIB * (cpus + 3);
	uint64_t limit = align_down(host_memory_bytes() / 5 * 4, MIB);

	return MAX(MIN(wanted, limit), 256 * MIB);
}

// A default that the host or the moment decides is kept as if it had been given.
static int keep_default(struct run_args *args, const char *option, const char *format,
			unsigned long long number)
{
	char text[32];

	snprintf(text, sizeof(text), format, number);
	return run_config_add(&args->given, option, text);
}

static int fill_name(struct run_args *args)
{
	int err = keep_default(args, "name", "guest-%llu", (unsigned)getpid());

	args->config.name = run_config_text(&args->given, "name");
	return err;
}

static int fill_defaults(struct run_args *args)
{
	struct vm_config *config = &args->config;
	int err = 0;

	if (!config->cpus) {
		config->cpus = default_cpus();
		err = keep_default(args, "cpus", "%llu", config->cpus);
	}
	if (!config->memory_bytes) {
		config->memory_bytes = default_memory_bytes(config->cpus);
		err = err ? err : keep_default(args, "mem", "%llu", config->memory_bytes / MIB);
	}
	// Of what is only printed there is no VM yet that could have a name.
	if (!config->name && !args->print_config)
		err = err ? err : fill_name(args);
	return err;
}

// The kernel is the option's value or the one operand.
static int take_operands(struct run_args *args, char **operands, int count)
{
	const char *kernel = run_config_text(&args->given, "kernel");

	if (count && kernel)
		return fail_msg(EINVAL, "two kernels: '%s' by --kernel and '%s'; give one", kernel,
				operands[0]);
	if (count > 1)
		return fail_msg(EINVAL,
				"unexpected argument '%s' after the kernel '%s'; kernel "
				"parameters go into --params",
				operands[1], operands[0]);
	return count ? run_config_add(&args->given, "kernel", operands[0]) : 0;
}

static int check_kernel(const struct run_args *args)
{
	if (args->config.kernel_path || args->print_config)
		return 0;
	return fail_msg(EINVAL, "no kernel; name one, as in 'kvik run vmlinux', or try "
				"'kvik run -h'");
}

// JSON for the control socket; without it the VM runs as well.
static void describe(struct run_args *args)
{
	json_t *object = run_config_json(&args->given);

	args->config.options_json = object ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
}

static int print_config(const struct run_args *args)
{
	json_t *object = run_config_json(&args->given);

	if (!object)
		return fail_msg(EILSEQ, "--print-config: an option is not UTF-8, as JSON must be; "
					"rename the file, say");
	json_dumpf(object, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(object);
	return 0;
}

// All that was said, on the command line and in the file, to a whole config.
static int complete(struct run_args *args)
{
	int err = args->config_path ? run_config_read(&args->given, args->config_path) : 0;

	err = err ? err : run_config_apply(&args->given);
	err = err ? err : check_kernel(args);
	err = err ? err : fill_defaults(args);
	if (err)
		return err;
	if (args->print_config)
		return print_config(args);
	if (args->service.detach && args->config.exit_with_parent)
		return fail_msg(EINVAL, "--detach and --exit-with-parent: leave one out; the "
					"process that starts it ends at once");
	describe(args);
	return network_finish(&args->config);
}

static int parse_args(struct run_args *args, int argc, char **argv)
{
	struct vm_config *config = &args->config;
	const struct option_spec options[] = {
		{ .kind = OPTION_GROUP, .help = "Configuration" },
		{ OPTION_STRING, 0, "config", "FILE", "Take options from a file of JSON",
		  &args->config_path, .flags = OPTION_FIRST },
		{ OPTION_FLAG, 0, "print-config", NULL, "Print the options as JSON; run nothing",
		  &args->print_config, .flags = OPTION_FIRST },

		{ .kind = OPTION_GROUP, .help = "Kernel" },
		{ OPTION_STRING, 'k', "kernel", "PATH",
		  "Kernel to boot, if it is not the first argument", &config->kernel_path,
		  .flags = OPTION_PATH },
		{ OPTION_STRING, 'i', "initrd", "PATH", "Initial RAM disk", &config->initrd_path,
		  .flags = OPTION_PATH },
		{ OPTION_STRING, 'p', "params", "TEXT",
		  "Kernel parameters, after the generated ones", &config->params },
		{ OPTION_FLAG, 0, "nodefaults", NULL,
		  "Generate no kernel parameters, add no network", &config->no_defaults },

		{ .kind = OPTION_GROUP, .help = "Machine" },
		{ OPTION_CALL, 'c', "cpus", "N", "vCPUs, 1 to 64 (default: the host's CPUs)",
		  &config->cpus, run_parse_cpus, .flags = OPTION_NUMBER },
		{ OPTION_CALL, 'm', "mem", "N[BKMGTP]",
		  "Memory in MiB (default: 64 for each vCPU, plus 192)", &config->memory_bytes,
		  run_parse_memory, .flags = OPTION_NUMBER },
		{ OPTION_STRING, 0, "hugetlbfs", "PATH",
		  "Take the memory's pages from this hugetlbfs", &config->hugetlbfs,
		  .flags = OPTION_PATH },
		{ OPTION_CALL, 0, "accel", "KIND", "Accelerator: auto, kvm or soft (default: auto)",
		  &config->accel, run_parse_accel },
		{ OPTION_STRING, 0, "dev", "PATH", "Device of KVM (default: /dev/kvm)",
		  &config->kvm_path, .flags = OPTION_PATH },
		{ OPTION_STRING, 0, "irqchip", "KIND", "Interrupt controller (default: auto)",
		  &config->irqchip },
		{ OPTION_CALL, 0, "satp-mode", "MODE",
		  "sv39, sv48 or sv57 (default: sv39; KVM: host's)", &config->satp_mode,
		  run_parse_satp_mode },
		{ OPTION_PREFIX, 0, "disable-", "EXT", "Take an ISA extension from a riscv64 guest",
		  &config->disabled_isa, run_add_name },
		{ OPTION_PREFIX, 0, "disable-sbi-", "EXT", "Take an SBI extension from it",
		  &config->disabled_sbi, run_add_name },
		{ OPTION_CALL, 0, "custom-mvendorid", "N", "Vendor id of a riscv64 guest's harts",
		  &config->mvendorid, run_parse_id, .flags = OPTION_NUMBER },
		{ OPTION_CALL, 0, "custom-marchid", "N", "Their architecture id", &config->marchid,
		  run_parse_id, .flags = OPTION_NUMBER },
		{ OPTION_CALL, 0, "custom-mimpid", "N", "Their implementation id", &config->mimpid,
		  run_parse_id, .flags = OPTION_NUMBER },
		{ OPTION_CALL, 0, "vcpu-affinity", "LIST",
		  "The host's CPUs that the vCPUs run on, as 0-3,7", &config->vcpu_affinity,
		  run_parse_cpu_list },
		{ OPTION_CALL, 0, "kaslr-seed", "N",
		  "Seed of the guest kernel's address (default: random)", &config->kaslr_seed,
		  run_parse_kaslr_seed, .flags = OPTION_NUMBER },
		{ OPTION_FLAG, 0, "aarch32", NULL, "32-bit CPUs, for a zImage, on an arm64 host",
		  &config->aarch32 },
		{ OPTION_FLAG, 0, "pmu", NULL, "Give an arm64 guest performance counters",
		  &config->pmu },
		{ OPTION_CALL, 0, "sve-max-vl", "BITS",
		  "Longest SVE vector of an arm64 guest, in bits", &config->sve_max_vl,
		  run_parse_sve_max_vl, .flags = OPTION_NUMBER },
		{ OPTION_FLAG, 0, "disable-mte", NULL, "No memory tagging for an arm64 guest",
		  &config->no_mte },
		{ OPTION_FLAG, 0, "no-pvtime", NULL, "No stolen time for an arm64 guest",
		  &config->no_pvtime },
		{ OPTION_CALL, 0, "name", "NAME", "Name of the VM (default: guest-<pid>)",
		  &config->name, run_parse_name },
		{ OPTION_FLAG, 0, "no-reboot", NULL,
		  "End when the guest resets, instead of a new start", &config->no_reboot },
		{ OPTION_FLAG, 0, "exit-with-parent", NULL,
		  "End when the process that started kvik ends", &config->exit_with_parent },

		{ .kind = OPTION_GROUP, .help = "Devices" },
		{ OPTION_CALL, 'd', "disk", "PATH[,OPTION]...",
		  "Add a disk image or block device; may be repeated", config, disk_parse,
		  .flags = OPTION_PATH | OPTION_REPEATED },
		{ OPTION_CALL, 'n', "network", "KEY=VALUE,...",
		  "Add a network, or 'none'; may be repeated", config, network_parse,
		  .flags = OPTION_REPEATED },
		{ OPTION_CALL, 0, "console", "KIND",
		  "Console device: serial or virtio (default: serial)", &config->console,
		  run_parse_console },
		{ OPTION_FLAG, 0, "rng", NULL, "Add an entropy source", &config->rng },
		{ OPTION_FLAG, 0, "balloon", NULL, "Let the guest give memory back, also unasked",
		  &config->balloon },

		{ .kind = OPTION_GROUP, .help = "Running in the background" },
		{ OPTION_FLAG, 0, "detach", NULL, "Return when the VM runs, and leave it running",
		  &args->service.detach, .flags = OPTION_FIRST },
		{ OPTION_STRING, 0, "log", "FILE", "Append console and messages to a file",
		  &args->service.log_path, .flags = OPTION_PATH },
		{ OPTION_STRING, 0, "pidfile", "FILE",
		  "Keep the process id in a file, which is locked", &args->service.pidfile_path,
		  .flags = OPTION_PATH },

		{ .kind = OPTION_GROUP, .help = "Messages and tests" },
		{ OPTION_CALL, 0, "loglevel", "LEVEL",
		  "error, warning, info or debug (default: info)", NULL, run_parse_loglevel },
		{ OPTION_STRING, 0, "dump-dtb", "FILE", "Write the guest's device tree to a file",
		  &config->dump_dtb_path, .flags = OPTION_PATH },
		{ OPTION_CALL, 0, "soft-tlb", "N",
		  "At most N entries in the soft engine's TLBs, 1 to 64", &config->soft_tlb_entries,
		  run_parse_soft_tlb, .flags = OPTION_NUMBER },
		{ OPTION_CALL, 0, "soft-code-cache", "SIZE",
		  "Size of its cache of decoded code, 64K or more", &config->soft_code_cache_bytes,
		  run_parse_soft_code_cache, .flags = OPTION_NUMBER },
		{ .kind = OPTION_END },
	};
	const struct command_usage usage = {
		.name = "kvik run",
		.synopsis = "[<options>] [<kernel>]",
		.summary = find_command("run")->summary,
		.options = options,
		.sink = &args->given.sink,
	};
	char **operands;
	int count, ret;

	run_config_init(&args->given, options);
	ret = options_parse(&usage, argc, argv, &operands, &count);
	ret = ret ? ret : take_operands(args, operands, count);
	return ret ? ret : complete(args);
}

static void free_args(struct run_args *args)
{
	disks_free(&args->config);
	network_free(&args->config);
	free(args->config.disabled_isa.names);
	free(args->config.disabled_sbi.names);
	free((char *)args->config.options_json);
	run_config_free(&args->given);
}

static void warn_of_much_memory(uint64_t bytes)
{
	uint64_t host_bytes = host_memory_bytes();

	if (bytes > host_bytes)
		warn("--mem: %llu MiB is more than the host has (%llu MiB); the VM may be killed "
		     "when it uses it",
		     bytes / MIB, host_bytes / MIB);
}

static int run_vm(struct run_args *args)
{
	struct vm_parts parts = vm_build_parts;
	struct vm *vm;
	int status;

	run_service_adapt(&args->service, &parts);
	status = vm_create(&vm, &args->config, &parts);
	if (status)
		return status > 0 ? 128 + status : VM_STATUS_USAGE;
	warn_of_much_memory(args->config.memory_bytes);
	status = vm_run(vm);
	vm_free(vm);
	return status;
}

static int run_service(struct run_args *args)
{
	int status = VM_STATUS_USAGE;
	int ret = run_service_begin(&args->service, args->config.name, &status);

	if (ret > 0)
		return status;
	if (ret == 0)
		status = run_vm(args);
	run_service_end(&args->service);
	return status;
}

int cmd_run(int argc, char **argv)
{
	struct run_args args = { 0 };
	int ret = parse_args(&args, argc, argv);
	int status = ret == OPTIONS_HELP ? 0 : VM_STATUS_USAGE;

	if (ret == 0)
		status = args.print_config ? 0 : run_service(&args);
	free_args(&args);
	return status;
}
