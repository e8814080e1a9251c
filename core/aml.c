// SPDX-License-Identifier: GPL-2.0-or-later
// Writing AML, the byte code of ACPI's DSDT (ACPI 6.4 ch. 20), as devices describe
// themselves in it.
#include "aml.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "device.h"
#include "log.h"

// ACPI 6.4 20.2: opcodes and prefixes.
enum {
	ZERO_OP = 0x00,
	ONE_OP = 0x01,
	NAME_OP = 0x08,
	BYTE_PREFIX = 0x0a,
	WORD_PREFIX = 0x0b,
	DWORD_PREFIX = 0x0c,
	STRING_PREFIX = 0x0d,
	QWORD_PREFIX = 0x0e,
	SCOPE_OP = 0x10,
	BUFFER_OP = 0x11,
	PACKAGE_OP = 0x12,
	METHOD_OP = 0x14,
	EXT_OP_PREFIX = 0x5b,
	DEVICE_OP = 0x82, // after EXT_OP_PREFIX
	NOTIFY_OP = 0x86,
	ROOT_CHAR = '\\',
};

#define METHOD_SERIALIZED (1 << 3)
#define RESOURCES_MAX_BYTES 64 // of one device

#define NAME_LENGTH 4

// 20.2.4: of three bytes, whether or not it would fit into fewer, so that it can be
// filled in when the block ends.
#define PKG_LENGTH_BYTES 3
#define PKG_LENGTH_MAX ((1U << 20) - 1)

// Ports end here; devices in memory lie above.
#define PORTS_END 0x10000ULL

static void note(struct aml_writer *aml, int error)
{
	if (!aml->error)
		aml->error = error;
}

// -- bytes --

static void put(struct aml_writer *aml, const void *data, size_t size_bytes)
{
	if (aml->error)
		return;
	if (size_bytes > aml->size_bytes - aml->used_bytes) {
		note(aml, ENOSPC);
		return;
	}
	memcpy(aml->data + aml->used_bytes, data, size_bytes);
	aml->used_bytes += size_bytes;
}

static void put8(struct aml_writer *aml, uint8_t value)
{
	put(aml, &value, sizeof(value));
}

static void put16(struct aml_writer *aml, uint16_t value)
{
	value = htole16(value);
	put(aml, &value, sizeof(value));
}

static void put32(struct aml_writer *aml, uint32_t value)
{
	value = htole32(value);
	put(aml, &value, sizeof(value));
}

static void put64(struct aml_writer *aml, uint64_t value)
{
	value = htole64(value);
	put(aml, &value, sizeof(value));
}

static void put_name(struct aml_writer *aml, const char *name)
{
	if (strlen(name) == NAME_LENGTH)
		put(aml, name, NAME_LENGTH);
	else
		note(aml, EINVAL);
}

static void put_integer(struct aml_writer *aml, uint64_t value)
{
	if (value <= 1) {
		put8(aml, value ? ONE_OP : ZERO_OP);
	} else if (value <= UINT8_MAX) {
		put8(aml, BYTE_PREFIX);
		put8(aml, value);
	} else if (value <= UINT16_MAX) {
		put8(aml, WORD_PREFIX);
		put16(aml, value);
	} else if (value <= UINT32_MAX) {
		put8(aml, DWORD_PREFIX);
		put32(aml, value);
	} else {
		put8(aml, QWORD_PREFIX);
		put64(aml, value);
	}
}

static void put_string(struct aml_writer *aml, const char *value)
{
	put8(aml, STRING_PREFIX);
	put(aml, value, strlen(value) + 1);
}

// -- blocks, which begin with their length --

static void open_block(struct aml_writer *aml)
{
	static const uint8_t placeholder[PKG_LENGTH_BYTES];

	if (aml->depth == AML_MAX_DEPTH) {
		note(aml, EINVAL);
		return;
	}
	aml->open[aml->depth++] = aml->used_bytes;
	put(aml, placeholder, sizeof(placeholder));
}

static void close_block(struct aml_writer *aml)
{
	size_t start, length;

	if (!aml->depth) {
		note(aml, EINVAL);
		return;
	}
	start = aml->open[--aml->depth];
	length = aml->used_bytes - start;
	if (length > PKG_LENGTH_MAX)
		note(aml, ENOSPC);
	if (aml->error)
		return;
	// The first byte has the number of those that follow, and the low 4 bits.
	aml->data[start] = (PKG_LENGTH_BYTES - 1) << 6 | (length & 0xf);
	aml->data[start + 1] = length >> 4;
	aml->data[start + 2] = length >> 12;
}

void aml_writer_init(struct aml_writer *aml, void *data, size_t size_bytes)
{
	*aml = (struct aml_writer){ .data = data, .size_bytes = size_bytes };
}

int aml_writer_finish(struct aml_writer *aml)
{
	if (aml->depth)
		note(aml, EINVAL);
	if (!aml->error)
		return 0;
	return fail(aml->error, "ACPI: describe the devices in %zu bytes", aml->size_bytes);
}

void aml_scope(struct aml_writer *aml, const char *name)
{
	put8(aml, SCOPE_OP);
	open_block(aml);
	put8(aml, ROOT_CHAR);
	put_name(aml, name);
}

void aml_device(struct aml_writer *aml, const char *name)
{
	put8(aml, EXT_OP_PREFIX);
	put8(aml, DEVICE_OP);
	open_block(aml);
	put_name(aml, name);
	aml->devices++;
}

void aml_end(struct aml_writer *aml)
{
	close_block(aml);
}

// -- named objects --

static void begin_name(struct aml_writer *aml, const char *name)
{
	put8(aml, NAME_OP);
	put_name(aml, name);
}

void aml_name_integer(struct aml_writer *aml, const char *name, uint64_t value)
{
	begin_name(aml, name);
	put_integer(aml, value);
}

void aml_name_string(struct aml_writer *aml, const char *name, const char *value)
{
	begin_name(aml, name);
	put_string(aml, value);
}

void aml_name_package(struct aml_writer *aml, const char *name, const uint8_t *values,
		      unsigned count)
{
	if (count > UINT8_MAX) {
		note(aml, EINVAL);
		return;
	}
	begin_name(aml, name);
	put8(aml, PACKAGE_OP);
	open_block(aml);
	put8(aml, count);
	for (unsigned i = 0; i < count; i++)
		put_integer(aml, values[i]);
	close_block(aml);
}

// -- resources: ACPI 6.4 6.4 --

// 6.4.2.5: I/O port descriptor, all 16 address bits decoded.
static void put_ports(struct aml_writer *aml, const struct io_region *region)
{
	if (region->size_bytes > UINT8_MAX) {
		note(aml, EINVAL);
		return;
	}
	put8(aml, 0x47);
	put8(aml, 1);
	put16(aml, region->base); // lowest and highest first port
	put16(aml, region->base);
	put8(aml, 1); // alignment
	put8(aml, region->size_bytes);
}

// 6.4.3.4: 32-bit fixed memory range, writeable.
static void put_memory(struct aml_writer *aml, const struct io_region *region)
{
	if (region->base > UINT32_MAX || region->size_bytes > UINT32_MAX - region->base) {
		note(aml, EINVAL);
		return;
	}
	put8(aml, 0x86);
	put16(aml, 9); // bytes that follow
	put8(aml, 1);
	put32(aml, region->base);
	put32(aml, region->size_bytes);
}

// 6.4.3.6: extended interrupt of a consumer; active high is 0.
#define INTERRUPT_EDGE (1 << 1)
#define INTERRUPT_SHARED (1 << 3)
static void put_interrupt(struct aml_writer *aml, uint8_t kind, unsigned gsi)
{
	put8(aml, 0x89);
	put16(aml, 6); // bytes that follow
	put8(aml, kind | 1);
	put8(aml, 1); // interrupts
	put32(aml, gsi);
}

// 6.4.2.9: the checksum 0 stands for a right one.
static void put_end(struct aml_writer *aml)
{
	put8(aml, 0x79);
	put8(aml, 0);
}

static void put_resources(struct aml_writer *aml, const struct device *dev)
{
	const struct io_region *region = &dev->region;

	if (region->size_bytes && region->base + region->size_bytes <= PORTS_END)
		put_ports(aml, region);
	else if (region->size_bytes)
		put_memory(aml, region);
	if (dev->irq.chip)
		put_interrupt(aml, INTERRUPT_SHARED | (dev->irq.edge ? INTERRUPT_EDGE : 0),
			      dev->irq.number);
	put_end(aml);
}

// _CRS, of what a writer of its own was given.
static void name_resources(struct aml_writer *aml, const struct aml_writer *resources)
{
	if (resources->error) {
		note(aml, resources->error);
		return;
	}
	begin_name(aml, "_CRS");
	put8(aml, BUFFER_OP);
	open_block(aml);
	put_integer(aml, resources->used_bytes);
	put(aml, resources->data, resources->used_bytes);
	close_block(aml);
}

static void name_device_resources(struct aml_writer *aml, const struct device *dev)
{
	uint8_t bytes[RESOURCES_MAX_BYTES];
	struct aml_writer resources;

	aml_writer_init(&resources, bytes, sizeof(bytes));
	put_resources(&resources, dev);
	name_resources(aml, &resources);
}

void aml_describe(struct aml_writer *aml, const char *hid, const struct device *dev)
{
	unsigned id = aml->devices;
	char name[16];

	snprintf(name, sizeof(name), "D%03X", id);
	aml_device(aml, name);
	aml_name_string(aml, "_HID", hid);
	aml_name_integer(aml, "_UID", id);
	name_device_resources(aml, dev);
	aml_end(aml);
}

void aml_edge_resource(struct aml_writer *aml, unsigned gsi)
{
	uint8_t bytes[RESOURCES_MAX_BYTES];
	struct aml_writer resources;

	aml_writer_init(&resources, bytes, sizeof(bytes));
	put_interrupt(&resources, INTERRUPT_EDGE, gsi);
	put_end(&resources);
	name_resources(aml, &resources);
}

// 20.2.5.2 and 20.2.5.3.
void aml_event_method(struct aml_writer *aml, const char *name, uint8_t value)
{
	put8(aml, METHOD_OP);
	open_block(aml);
	put_name(aml, "_EVT");
	put8(aml, METHOD_SERIALIZED | 1); // one argument: the interrupt
	put8(aml, NOTIFY_OP);
	put_name(aml, name);
	put_integer(aml, value);
	close_block(aml);
}
