// SPDX-License-Identifier: GPL-2.0-or-later
// Putting kernel, initrd and device tree into RAM, one after the other.
//
// The initrd and the tree go behind the kernel's whole footprint: its BSS is in no
// file, yet it is cleared before the kernel looks at either of them.
#include <errno.h>
#include <libfdt.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "boot.h"
#include "fdt.h"
#include "image.h"
#include "log.h"
#include "memory.h"
#include "vm-config.h"

// The tree lies within one of the 2 MiB pages that Linux maps: arm64/booting.rst asks for
// that, and a host's huge page is not cleared for the tree alone.
#define FDT_BLOCK_BYTES (2 * MIB)
// The initrd's pages, of up to 64 KiB, are freed later on.
#define FDT_ALIGN_BYTES (64 * KIB)
// It also keeps for itself all of the last 2 MiB page that its image touches.
#define INITRD_ALIGN_BYTES (2 * MIB)

void boot_init(struct boot *boot)
{
	*boot = (struct boot){ .initrd_fd = -1 };
}

void boot_exit(struct boot *boot)
{
	if (boot->initrd_fd >= 0)
		close(boot->initrd_fd);
	free(boot->fdt);
	boot_init(boot);
}

// -- initrd --

// The file stays open, so that a reboot finds it wherever its name has gone.
static int open_initrd(struct boot *boot, const char *path)
{
	if (boot->initrd_fd >= 0)
		return 0;
	boot->initrd_fd = image_open_file("initrd", path);
	return MIN(boot->initrd_fd, 0);
}

static int load_initrd(struct boot *boot, const struct boot_source *source, uint64_t gpa)
{
	const char *path = source->config->initrd_path;
	int rc;

	boot->initrd_gpa = gpa;
	boot->initrd_bytes = 0;
	if (!path)
		return 0;
	rc = open_initrd(boot, path);
	if (rc)
		return rc;
	return image_load_file(path, boot->initrd_fd, source->memory, gpa, &boot->initrd_bytes);
}

// -- device tree --

static int get_random(void *data, size_t size_bytes)
{
	// Up to 256 bytes come whole (getrandom(2)).
	if (getrandom(data, size_bytes, 0) != (ssize_t)size_bytes)
		return fail(errno, "getrandom");
	return 0;
}

static int make_chosen(struct boot *boot, const struct boot_source *source)
{
	int rc = bootargs_build(source->config, source->linux_line_size, boot->bootargs,
				sizeof(boot->bootargs));

	if (!rc)
		rc = get_random(boot->rng_seed, sizeof(boot->rng_seed));
	if (rc)
		return rc;
	boot->kaslr_seed = source->config->kaslr_seed;
	if (boot->kaslr_seed)
		return 0;
	return get_random(&boot->kaslr_seed, sizeof(boot->kaslr_seed));
}

static int write_tree(struct boot *boot, const struct boot_source *source)
{
	struct fdt_writer fdt;
	int rc;

	fdt_writer_init(&fdt, boot->fdt, source->tree_room_bytes);
	rc = source->write_tree(&fdt, boot, source->opaque);
	if (!rc)
		rc = fdt_writer_finish(&fdt);
	if (!rc)
		boot->fdt_bytes = fdt_totalsize(boot->fdt);
	return rc;
}

static void drop_tree(struct boot *boot)
{
	free(boot->fdt);
	boot->fdt = NULL;
	boot->fdt_bytes = 0;
}

static int make_tree(struct boot *boot, const struct boot_source *source)
{
	int rc = make_chosen(boot, source);

	drop_tree(boot);
	if (rc)
		return rc;
	boot->fdt = calloc(1, source->tree_room_bytes);
	if (!boot->fdt)
		return fail(ENOMEM, "make the device tree");
	rc = write_tree(boot, source);
	if (rc)
		drop_tree(boot);
	return rc;
}

static int no_room_for_fdt(const struct boot *boot, const struct boot_source *source)
{
	uint64_t ram = memory_total_bytes(source->memory);

	return fail_msg(ENOSPC,
			"the device tree of %zu KiB does not fit: kernel and initrd take %llu "
			"of the VM's %llu MiB of RAM; give it more with -m",
			boot->fdt_bytes / (size_t)KIB + 1,
			(unsigned long long)((boot->fdt_gpa - source->ram_base_gpa) / MIB),
			(unsigned long long)(ram / MIB));
}

// Behind the initrd, in the same page if it fits there.
static uint64_t place_fdt(const struct boot *boot)
{
	uint64_t gpa = align_up(boot->initrd_gpa + boot->initrd_bytes, FDT_ALIGN_BYTES);
	uint64_t next_block_gpa = align_up(gpa, FDT_BLOCK_BYTES);

	return gpa + boot->fdt_bytes <= next_block_gpa ? gpa : next_block_gpa;
}

static int load_fdt(struct boot *boot, const struct boot_source *source)
{
	int rc = make_tree(boot, source);

	if (rc)
		return rc;
	boot->fdt_gpa = place_fdt(boot);
	if (!memory_ptr(source->memory, boot->fdt_gpa, boot->fdt_bytes))
		return no_room_for_fdt(boot, source);
	return memory_write(source->memory, boot->fdt_gpa, boot->fdt, boot->fdt_bytes);
}

int boot_load(struct boot *boot, const struct boot_source *source)
{
	struct image_placement kernel;
	int rc = image_load(source->kernel, source->memory, source->ram_base_gpa, &kernel);

	if (rc)
		return rc;
	image_unload(source->kernel);
	boot->entry_gpa = kernel.entry_gpa;
	rc = load_initrd(boot, source, align_up(kernel.end_gpa, INITRD_ALIGN_BYTES));
	if (!rc)
		rc = load_fdt(boot, source);
	return rc;
}

// -- nodes --

void boot_describe_chosen(struct fdt_writer *fdt, const struct boot *boot,
			  const struct vm_config *config)
{
	fdt_node(fdt, "chosen");
	fdt_str(fdt, "bootargs", boot->bootargs);
	// With another console nobody reads what the port prints.
	if (config->console == CONSOLE_SERIAL)
		fdt_str(fdt, "stdout-path", "serial0:115200n8");
	if (boot->initrd_bytes) {
		fdt_u64(fdt, "linux,initrd-start", boot->initrd_gpa);
		fdt_u64(fdt, "linux,initrd-end", boot->initrd_gpa + boot->initrd_bytes);
	}
	fdt_bytes(fdt, "rng-seed", boot->rng_seed, sizeof(boot->rng_seed));
	fdt_u64(fdt, "kaslr-seed", boot->kaslr_seed);
	fdt_end(fdt);
}

void boot_describe_aliases(struct fdt_writer *fdt, const char *serial_path)
{
	fdt_node(fdt, "aliases");
	fdt_str(fdt, "serial0", serial_path);
	fdt_end(fdt);
}

void boot_describe_memory(struct fdt_writer *fdt, uint64_t base_gpa, uint64_t size_bytes)
{
	fdt_node(fdt, "memory@%llx", (unsigned long long)base_gpa);
	fdt_str(fdt, "device_type", "memory");
	fdt_reg(fdt, base_gpa, size_bytes);
	fdt_end(fdt);
}
