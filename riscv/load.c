// SPDX-License-Identifier: GPL-2.0-or-later
// Putting kernel, initrd and device tree into RAM, one after the other.
//
// The initrd and the tree go behind the kernel's whole footprint: its BSS is in no
// file, yet it is cleared before the kernel looks at either of them.
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "log.h"
#include "riscv-machine.h"
#include "memory.h"
#include "vm-config.h"

// Linux maps the 2 MiB page that holds the tree's start, and the next one.
#define FDT_ALIGN_BYTES (2 * MIB)
// It also keeps for itself all of the last 2 MiB page that its image touches.
#define INITRD_ALIGN_BYTES (2 * MIB)

static int no_room(const struct machine *machine, const char *what, uint64_t size_bytes,
		   uint64_t gpa)
{
	uint64_t ram = memory_total_bytes(machine->memory);
	uint64_t used = gpa - RISCV_RAM_BASE;

	return fail_msg(ENOSPC, "the %s of %llu KiB does not fit: what goes before it takes %llu of %llu MiB of RAM; give the VM more with -m",
			what, (unsigned long long)(size_bytes / KIB) + 1,
			(unsigned long long)(used / MIB), (unsigned long long)(ram / MIB));
}

// Bytes of RAM from @gpa on.
static uint64_t room_at(const struct machine *machine, uint64_t gpa)
{
	uint64_t ram_end = RISCV_RAM_BASE + memory_total_bytes(machine->memory);

	return gpa < ram_end ? ram_end - gpa : 0;
}

static int read_initrd(const struct machine *machine, struct riscv_initrd *initrd, uint8_t **data)
{
	const char *path = machine->config->initrd_path;
	uint64_t room = room_at(machine, initrd->start_gpa);
	struct stat st;
	size_t size_bytes;
	int rc;

	// Before it is read, so that the answer names what would help.
	if (!stat(path, &st) && S_ISREG(st.st_mode) && (uint64_t)st.st_size > room)
		return no_room(machine, "initrd", st.st_size, initrd->start_gpa);
	rc = image_read_file(path, room, data, &size_bytes);
	if (!rc)
		initrd->size_bytes = size_bytes;
	return rc;
}

static int load_initrd(const struct machine *machine, uint64_t start_gpa,
		       struct riscv_initrd *initrd)
{
	uint8_t *data;
	int rc;

	*initrd = (struct riscv_initrd){ .start_gpa = start_gpa };
	if (!machine->config->initrd_path)
		return 0;
	rc = read_initrd(machine, initrd, &data);
	if (rc)
		return rc;
	rc = memory_write(machine->memory, start_gpa, data, initrd->size_bytes);
	free(data);
	return rc;
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
		return no_room(machine, "device tree", priv->fdt_bytes, priv->fdt_gpa);
	return memory_write(machine->memory, priv->fdt_gpa, priv->fdt, priv->fdt_bytes);
}

int riscv_load(struct machine *machine)
{
	struct image_placement kernel;
	struct riscv_initrd initrd;
	int rc = image_load(machine->kernel, machine->memory, RISCV_RAM_BASE, &kernel);

	if (rc)
		return rc;
	riscv_machine_priv(machine)->entry_gpa = kernel.entry_gpa;
	rc = load_initrd(machine, align_up(kernel.end_gpa, INITRD_ALIGN_BYTES), &initrd);
	if (!rc)
		rc = load_fdt(machine, &initrd);
	return rc;
}
