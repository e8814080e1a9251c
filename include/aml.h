// SPDX-License-Identifier: GPL-2.0-or-later
// Writing AML, the byte code of ACPI's DSDT (ACPI 6.4 ch. 20), as devices describe
// themselves in it.
//
// An error sticks: the writer does nothing more and aml_writer_finish() reports it.
// One thread at a time.
#ifndef KVIK_AML_H
#define KVIK_AML_H

#include <stddef.h>
#include <stdint.h>

#include "util.h"

struct device;

#define AML_MAX_DEPTH 8

struct aml_writer {
	uint8_t *data;
	size_t size_bytes;
	size_t used_bytes;
	size_t open[AML_MAX_DEPTH]; // where the length of each open block goes
	unsigned depth;
	unsigned devices; // written so far
	int error;        // errno, 0 when all went well so far
};

// Starts at @data, which has room for @size_bytes (caller's storage).
void aml_writer_init(struct aml_writer *aml, void *data, size_t size_bytes);
// Returns 0, or -ENOSPC or -EINVAL after a message; @aml->used_bytes are written.
int aml_writer_finish(struct aml_writer *aml) MUST_CHECK;

// Names have four characters ("_SB_").

// Opens a scope below the root, a device in it; aml_end() closes either.
void aml_scope(struct aml_writer *aml, const char *name);
void aml_device(struct aml_writer *aml, const char *name);
void aml_end(struct aml_writer *aml);

void aml_name_integer(struct aml_writer *aml, const char *name, uint64_t value);
void aml_name_string(struct aml_writer *aml, const char *name, const char *value);
void aml_name_package(struct aml_writer *aml, const char *name, const uint8_t *values,
		      unsigned count);

// A device with registers and an interrupt: its hardware id (_HID), a unique id and its
// resources (_CRS). Registers within the first 64 KiB are I/O ports. The interrupt is
// level-triggered, active high and may be shared; a line that is not connected is left
// out. For device_ops.describe_acpi.
void aml_describe(struct aml_writer *aml, const char *hid, const struct device *dev);

// For a Generic Event Device (5.6.9): the interrupt by which it is told of its only event,
// edge-triggered and its own; and the method that passes the event on as notification
// @value of the device @name of the same scope or of one around it.
void aml_edge_resource(struct aml_writer *aml, unsigned gsi);
void aml_event_method(struct aml_writer *aml, const char *name, uint8_t value);

#endif
