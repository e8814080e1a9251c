// SPDX-License-Identifier: GPL-2.0-or-later
// The EFI header of a kernel, used for one thing: is the file complete?
//
// An Image says how much memory it needs, but not how long its file is. One that
// can also be started by EFI has a PE header, whose section table does.
#include <errno.h>

#include "image-internal.h"
#include "log.h"

// Microsoft PE format, "COFF file header" and "section table".
#define DOS_PE_OFFSET 0x3c
#define PE_SECTION_COUNT 0x06
#define PE_OPTIONAL_BYTES 0x14
#define PE_HEADER_BYTES 0x18
#define SECTION_BYTES 40
#define SECTION_RAW_BYTES 0x10
#define SECTION_RAW_OFFSET 0x14

static bool fits(const struct image *image, uint64_t offset, uint64_t len)
{
	return offset <= image->head_bytes && len <= image->head_bytes - offset;
}

static bool find_pe(const struct image *image, uint64_t *offset)
{
	if (!fits(image, 0, DOS_PE_OFFSET + 4) || memcmp(image->head, "MZ", 2))
		return false;
	*offset = load_le32(image->head + DOS_PE_OFFSET);
	return fits(image, *offset, PE_HEADER_BYTES) && !memcmp(image->head + *offset, "PE\0\0", 4);
}

static int check_section(const struct image *image, uint64_t offset)
{
	const uint8_t *section;
	uint64_t raw_end;

	if (!fits(image, offset, SECTION_BYTES))
		return 0;
	section = image->head + offset;
	raw_end = (uint64_t)load_le32(section + SECTION_RAW_OFFSET) +
		  load_le32(section + SECTION_RAW_BYTES);
	if (raw_end <= image->size_bytes)
		return 0;
	return fail_msg(EINVAL,
			"%s: has %llu bytes where its EFI header says %llu; is the file complete?",
			image->path, (unsigned long long)image->size_bytes,
			(unsigned long long)raw_end);
}

int image_check_pe(const struct image *image)
{
	uint64_t pe, sections;
	unsigned count;
	int rc = 0;

	if (!find_pe(image, &pe))
		return 0;
	count = load_le16(image->head + pe + PE_SECTION_COUNT);
	sections = pe + PE_HEADER_BYTES + load_le16(image->head + pe + PE_OPTIONAL_BYTES);
	for (unsigned i = 0; !rc && i < count; i++)
		rc = check_section(image, sections + (uint64_t)i * SECTION_BYTES);
	return rc;
}
