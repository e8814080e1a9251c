// SPDX-License-Identifier: GPL-2.0-or-later
// The device tree of the riscv64 machine (devicetree specification 0.4; bindings
// in Linux's Documentation/devicetree/bindings).
//
// Devices on the bus write their own nodes; here is the rest.
#include <assert.h>
#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "bootargs.h"
#include "fdt.h"
#include "log.h"
#include "memory.h"
#include "riscv-accel.h"
#include "riscv-machine.h"
#include "vm-config.h"

// Linux maps no more of a tree (MAX_FDT_SIZE).
#define MAX_BLOB_BYTES (2 * MIB)

// COMMAND_LINE_SIZE of Linux's arch/riscv; it drops the rest without a word.
#define LINUX_LINE_SIZE 1024

// Enough to seed the guest's generator at once (it wants 256 bits).
#define RNG_SEED_BYTES 64

// What is made for each load, besides the parts of the machine.
struct contents {
	char bootargs[BOOTARGS_SIZE];
	uint8_t rng_seed[RNG_SEED_BYTES];
	uint64_t kaslr_seed;
	const struct riscv_initrd *initrd;
};

static int get_random(void *data, size_t size_bytes)
{
	// Up to 256 bytes come whole (getrandom(2)).
	if (getrandom(data, size_bytes, 0) != (ssize_t)size_bytes)
		return fail(errno, "getrandom");
	return 0;
}

static int prepare(const struct machine *machine, struct contents *contents)
{
	int rc = bootargs_build(machine->config, LINUX_LINE_SIZE, contents->bootargs,
				sizeof(contents->bootargs));

	if (!rc)
		rc = get_random(contents->rng_seed, sizeof(contents->rng_seed));
	if (!rc)
		rc = get_random(&contents->kaslr_seed, sizeof(contents->kaslr_seed));
	return rc;
}

static void describe_chosen(struct fdt_writer *fdt, const struct machine *machine,
			    const struct contents *contents)
{
	const struct riscv_initrd *initrd = contents->initrd;

	fdt_node(fdt, "chosen");
	fdt_str(fdt, "bootargs", contents->bootargs);
	// With another console nobody reads what the port prints.
	if (machine->config->console == CONSOLE_SERIAL)
		fdt_str(fdt, "stdout-path", "serial0:115200n8");
	if (initrd->size_bytes) {
		fdt_u64(fdt, "linux,initrd-start", initrd->start_gpa);
		fdt_u64(fdt, "linux,initrd-end", initrd->start_gpa + initrd->size_bytes);
	}
	fdt_bytes(fdt, "rng-seed", contents->rng_seed, sizeof(contents->rng_seed));
	fdt_u64(fdt, "kaslr-seed", contents->kaslr_seed);
	fdt_end(fdt);
}

static void describe_aliases(struct fdt_writer *fdt)
{
	char path[40];

	snprintf(path, sizeof(path), "/soc/serial@%llx", RISCV_SERIAL_BASE);
	fdt_node(fdt, "aliases");
	fdt_str(fdt, "serial0", path);
	fdt_end(fdt);
}

static void describe_memory(struct fdt_writer *fdt, const struct memory *mem)
{
	for (unsigned i = 0; i < mem->bank_count; i++) {
		const struct memory_bank *bank = &mem->banks[i];

		fdt_node(fdt, "memory@%llx", (unsigned long long)bank->base_gpa);
		fdt_str(fdt, "device_type", "memory");
		fdt_reg(fdt, bank->base_gpa, bank->size_bytes);
		fdt_end(fdt);
	}
}

static const char *mmu_type(enum riscv_satp_mode mode)
{
	switch (mode) {
	case RISCV_SATP_SV57:
		return "riscv,sv57";
	case RISCV_SATP_SV48:
		return "riscv,sv48";
	default:
		return "riscv,sv39";
	}
}

// Both forms: Linux before 6.5 reads only the string.
static void describe_isa(struct fdt_writer *fdt, const char *const *extensions)
{
	char text[1024];
	char *end = text;

	if (riscv_isa_string(extensions, text, sizeof(text))) {
		fdt->error = fdt->error ? fdt->error : -FDT_ERR_NOSPACE;
		return;
	}
	fdt_str(fdt, "riscv,isa", text);
	fdt_str(fdt, "riscv,isa-base", "rv64i");
	// Never longer than the string above, which holds the same names.
	for (; *extensions; extensions++)
		end = stpcpy(end, *extensions) + 1;
	fdt_strings(fdt, "riscv,isa-extensions", text, end - text);
}

static void describe_intc(struct fdt_writer *fdt, unsigned hart)
{
	fdt_node(fdt, "interrupt-controller");
	fdt_str(fdt, "compatible", "riscv,cpu-intc");
	fdt_flag(fdt, "interrupt-controller");
	fdt_u32(fdt, "#interrupt-cells", 1);
	// No unit addresses in an interrupt specifier; dtc wants it said.
	fdt_u32(fdt, "#address-cells", 0);
	fdt_u32(fdt, "phandle", RISCV_INTC_PHANDLE(hart));
	fdt_end(fdt);
}

static void describe_cpu(struct fdt_writer *fdt, unsigned hart, const struct riscv_cpu_info *info)
{
	fdt_node(fdt, "cpu@%x", hart);
	fdt_str(fdt, "device_type", "cpu");
	fdt_u32(fdt, "reg", hart);
	fdt_str(fdt, "status", "okay");
	fdt_str(fdt, "compatible", "riscv");
	describe_isa(fdt, info->extensions);
	fdt_str(fdt, "mmu-type", mmu_type(info->satp_mode));
	if (info->cboz_block_bytes)
		fdt_u32(fdt, "riscv,cboz-block-size", info->cboz_block_bytes);
	describe_intc(fdt, hart);
	fdt_end(fdt);
}

static int describe_cpus(struct fdt_writer *fdt, const struct machine *machine)
{
	const struct riscv_accel_ops *riscv = machine->accel->ops->riscv;

	fdt_node(fdt, "cpus");
	fdt_u32(fdt, "#address-cells", 1);
	fdt_u32(fdt, "#size-cells", 0);
	for (unsigned i = 0; i < machine->vcpus->count; i++) {
		struct riscv_cpu_info info = { 0 };
		int rc = riscv->cpu_info(&machine->vcpus->vcpus[i], &info);

		if (rc)
			return rc;
		// One clock for all; properties come before subnodes.
		if (!i)
			fdt_u32(fdt, "timebase-frequency", info.timebase_hz);
		describe_cpu(fdt, i, &info);
	}
	fdt_end(fdt);
	return 0;
}

static void describe_soc(struct fdt_writer *fdt, const struct machine *machine)
{
	struct riscv_machine *priv = riscv_machine_priv(machine);

	fdt_node(fdt, "soc");
	fdt_str(fdt, "compatible", "simple-bus");
	fdt_u32(fdt, "#address-cells", 2);
	fdt_u32(fdt, "#size-cells", 2);
	fdt_flag(fdt, "ranges");
	// Only sources in use: Linux sets up each one for each hart.
	plic_describe(priv->plic, fdt, RISCV_IRQ_VIRTIO + priv->virtio_slots,
		      RISCV_INTC_PHANDLE(0));
	device_list_describe(machine->devices, fdt);
	fdt_end(fdt);
}

static int write_tree(struct fdt_writer *fdt, const struct machine *machine,
		      const struct contents *contents)
{
	int rc;

	fdt_u32(fdt, "#address-cells", 2);
	fdt_u32(fdt, "#size-cells", 2);
	fdt_str(fdt, "compatible", "kvik,riscv64");
	fdt_str(fdt, "model", "kvik riscv64");
	describe_chosen(fdt, machine, contents);
	describe_aliases(fdt);
	describe_memory(fdt, machine->memory);
	rc = describe_cpus(fdt, machine);
	if (!rc)
		describe_soc(fdt, machine);
	return rc;
}

// Generous: a hart's node takes under 1 KiB, a device's under 256 bytes.
static size_t blob_room(const struct machine *machine)
{
	return 64 * KIB + machine->vcpus->count * 2 * KIB +
	       riscv_machine_priv(machine)->virtio_slots * 512;
}
static_assert(64 * KIB + RISCV_MAX_HARTS * 2 * KIB + RISCV_VIRTIO_SLOTS * 512 <= MAX_BLOB_BYTES,
	      "Linux could not map the device tree of the largest machine");

static int build(const struct machine *machine, const struct contents *contents, void *blob,
		 size_t size_bytes)
{
	struct fdt_writer fdt;
	int rc;

	fdt_writer_init(&fdt, blob, size_bytes);
	rc = write_tree(&fdt, machine, contents);
	return rc ? rc : fdt_writer_finish(&fdt);
}

int riscv_fdt_build(struct machine *machine, const struct riscv_initrd *initrd, void **blob,
		    size_t *size_bytes)
{
	struct contents contents = { .initrd = initrd };
	size_t room = blob_room(machine);
	int rc = prepare(machine, &contents);

	if (rc)
		return rc;
	*blob = calloc(1, room);
	if (!*blob)
		return fail(ENOMEM, "make the device tree");
	rc = build(machine, &contents, *blob, room);
	if (rc) {
		free(*blob);
		*blob = NULL;
		return rc;
	}
	*size_bytes = fdt_totalsize(*blob);
	return 0;
}
