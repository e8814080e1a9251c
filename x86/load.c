// SPDX-License-Identifier: GPL-2.0-or-later
// Putting kernel, initrd and everything that describes the machine into RAM.
#include <assert.h>
#include <errno.h>
#include <sys/stat.h>

#include "acpi.h"
#include "bootargs.h"
#include "log.h"
#include "memory.h"
#include "vm-config.h"
#include "x86-boot.h"
#include "x86-machine.h"

static_assert(X86_CMDLINE_GPA + BOOTARGS_SIZE <= X86_LOW_RAM_END, "the command line has room");

// The initrd goes behind the kernel's whole footprint, BSS included, at a page of its
// own, since Linux frees its pages.
#define INITRD_ALIGN_BYTES (4 * KIB)

static int load_kernel(struct machine *machine, struct image_placement *placement)
{
	int rc = image_load(machine->kernel, machine->memory, 0, placement);

	if (rc)
		return rc;
	if (placement->start_gpa < X86_KERNEL_GPA)
		return fail_msg(
			EINVAL,
			"%s: wants to be loaded at %#llx; the first MiB is taken: link it to "
			"%#llx or above",
			machine->kernel->path, (unsigned long long)placement->start_gpa,
			X86_KERNEL_GPA);
	image_unload(machine->kernel);
	return 0;
}

// -- initrd --

// The file stays open, so that a reboot finds it wherever its name has gone.
static int open_initrd(struct machine *machine)
{
	struct x86_machine *priv = x86_machine_priv(machine);

	if (priv->initrd_fd < 0)
		priv->initrd_fd = image_open_file("initrd", machine->config->initrd_path);
	return MIN(priv->initrd_fd, 0);
}

static uint64_t file_bytes(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

// Above 4 GiB if that is the only place: the kernels know how (boot.rst,
// ext_ramdisk_image; PVH has 64-bit addresses anyway).
static uint64_t place_initrd(const struct machine *machine, uint64_t kernel_end_gpa, uint64_t bytes)
{
	uint64_t gpa = align_up(kernel_end_gpa, INITRD_ALIGN_BYTES);

	if (!memory_ptr(machine->memory, gpa, bytes) &&
	    memory_ptr(machine->memory, X86_RAM_HIGH_BASE, bytes))
		return X86_RAM_HIGH_BASE;
	return gpa;
}

static int load_initrd(struct machine *machine, uint64_t kernel_end_gpa, struct x86_boot *boot)
{
	struct x86_machine *priv = x86_machine_priv(machine);
	int rc;

	if (!machine->config->initrd_path)
		return 0;
	rc = open_initrd(machine);
	if (rc)
		return rc;
	boot->initrd_gpa = place_initrd(machine, kernel_end_gpa, file_bytes(priv->initrd_fd));
	return image_load_file(machine->config->initrd_path, priv->initrd_fd, machine->memory,
			       boot->initrd_gpa, &boot->initrd_bytes);
}

// -- the machine --

static int load_acpi(struct machine *machine)
{
	struct x86_acpi acpi = {
		.cpus = machine->vcpus->count,
		.serial_console = machine->config->console == CONSOLE_SERIAL,
		.devices = machine->devices,
	};
	size_t used_bytes;
	uint8_t *area = memory_ptr(machine->memory, X86_ACPI_GPA, X86_ACPI_BYTES);

	if (!area)
		return -EFAULT; // RAM_MIN_BYTES is more
	return x86_acpi_build(&acpi, X86_ACPI_GPA, area, X86_ACPI_BYTES, &used_bytes);
}

static int load_description(struct machine *machine, struct x86_boot *boot)
{
	struct x86_machine *priv = x86_machine_priv(machine);
	char command_line[BOOTARGS_SIZE];
	struct x86_boot described;
	int rc = x86_cmdline_build(machine->config, priv->virtio_slots, command_line,
				   sizeof(command_line));

	if (!rc)
		rc = load_acpi(machine);
	if (!rc)
		rc = x86_boot_map(boot, machine->memory);
	if (rc)
		return rc;
	described = *boot;
	described.command_line = command_line;
	return x86_boot_write(&described, machine->memory, &priv->entry);
}

int x86_load(struct machine *machine)
{
	struct x86_boot boot = { .kernel = machine->kernel };
	struct image_placement placement;
	int rc = load_kernel(machine, &placement);

	if (rc)
		return rc;
	boot.entry_gpa = placement.entry_gpa;
	boot.pvh = placement.pvh;
	rc = load_initrd(machine, placement.end_gpa, &boot);
	return rc ? rc : load_description(machine, &boot);
}
