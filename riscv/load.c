// SPDX-License-Identifier: GPL-2.0-or-later
// Putting kernel, initrd and device tree into RAM, one after the other.
//
// The initrd and the tree go behind the kernel's whole footprint: its BSS is in no
// file, yet it is cleared before the kernel looks at either of them.
#include <errno.h>
#include <stdlib.h>

#include "log.h"
#include "memory.h"
#include "riscv-machine.h"
#include "vm-config.h"

// Linux maps the 2 MiB page that holds the tree's start, and the next one.
#define FDT_ALIGN_BYTES (2 * MIB)
// It also keeps for itself all of the last 2 MiB page that its image touches.
#define INITRD_ALIGN_BYTES (2 * MIB)

// The file stays open, so that a reboot finds it wherever its name has gone.
static int open_initrd(struct machine *machine)
{
	struct riscv_machine *priv = riscv_machine_priv(machine);
	const char *path = machine->config->initrd_path;

	if (!path || priv->initrd_fd >= 0)
		return 0;
	priv->initrd_fd = image_open_file(path);
	return MIN(priv->initrd_fd, 0);
}

static int load_initrd(struct machine *machine, uint64_t start_gpa, struct riscv_initrd *initrd)
{
	int rc = open_initrd(machine);

	*initrd = (struct riscv_initrd){ .start_gpa = start_gpa };
	if (rc || !machine->config->initrd_path)
		return rc;
	return image_load_file(machine->config->initrd_path, riscv_machine_priv(machine)->initrd_fd,
			       machine->memory, start_gpa, &initrd->size_bytes);
}

static int no_room_for_fdt(const struct machine *machine)
{
	const struct riscv_machine *priv = riscv_machine_priv(machine);
	uint64_t ram = memory_total_bytes(machine->memory);

	return fail_msg(ENOSPC,
			"the device tree of %zu KiB does not fit: kernel and initrd take %llu "
			"of the VM's %llu MiB of RAM; give it more with -m",
			priv->fdt_bytes / (size_t)KIB + 1,
			(unsigned long long)((priv->fdt_gpa - RISCV_RAM_BASE) / MIB),
			(unsigned long long)(ram / MIB));
}

static int load_fdt(struct machine *machine, const struct riscv_initrd *initrd)
{
	struct riscv_machine *priv = riscv_machine_priv(machine);
	int rc;

	free(priv->fdt);
	priv->fdt = NULL;
	priv->fdt_bytes = 0;
	rc = riscv_fdt_build(machine, initrd, &priv->fdt, &priv->fdt_bytes);
	if (rc)
		return rc;
	priv->fdt_gpa = align_up(initrd->start_gpa + initrd->size_bytes, FDT_ALIGN_BYTES);
	if (!memory_ptr(machine->memory, priv->fdt_gpa, priv->fdt_bytes))
		return no_room_for_fdt(machine);
	return memory_write(machine->memory, priv->fdt_gpa, priv->fdt, priv->fdt_bytes);
}

int riscv_load(struct machine *machine)
{
	struct image_placement kernel;
	struct riscv_initrd initrd;
	int rc = image_load(machine->kernel, machine->memory, RISCV_RAM_BASE, &kernel);

	if (rc)
		return rc;
	image_unload(machine->kernel);
	riscv_machine_priv(machine)->entry_gpa = kernel.entry_gpa;
	rc = load_initrd(machine, align_up(kernel.end_gpa, INITRD_ALIGN_BYTES), &initrd);
	if (!rc)
		rc = load_fdt(machine, &initrd);
	return rc;
}
