// SPDX-License-Identifier: GPL-2.0-or-later
// What a kernel may be packed in: gzip and its like, or the EFI program that unpacks
// itself ("zboot").
#include <errno.h>

#include "image-internal.h"
#include "log.h"

// Linux's drivers/firmware/efi/libstub/zboot-header.S: "MZ", "zimg" at 4, where the
// payload lies and how long it is, and the compression's name.
#define ZBOOT_OFFSET 0x08
#define ZBOOT_SIZE 0x0c
#define ZBOOT_COMPRESSION 0x18
#define ZBOOT_COMPRESSION_BYTES 0x20

static bool is_zboot(const struct image *image)
{
	return image_has_bytes(image, 0, "MZ", 2) && image_has_bytes(image, 4, "zimg", 4);
}

// How a whole file is packed.
static const struct image_method *find_method(const struct image *image)
{
	return image_find_method((struct image_span){ image->head, image->head_bytes });
}

static bool is_packed(const struct image *image)
{
	return find_method(image);
}

static int open_packed(struct image *image, struct image_packed *packed)
{
	*packed = (struct image_packed){ find_method(image), 0, image->data_bytes };
	image->wrapper = image_method_name(packed->method);
	return 0;
}

static int zboot_payload(const struct image *image, struct image_packed *packed)
{
	packed->offset = load_le32(image->head + ZBOOT_OFFSET);
	packed->size_bytes = load_le32(image->head + ZBOOT_SIZE);
	if (packed->size_bytes && packed->offset + packed->size_bytes <= image->data_bytes)
		return 0;
	return fail_msg(EINVAL,
			"%s: its EFI zboot payload (%llu bytes at %#llx) goes beyond the file's "
			"%llu bytes; is it complete?",
			image->path, (unsigned long long)packed->size_bytes,
			(unsigned long long)packed->offset, (unsigned long long)image->data_bytes);
}

static int open_zboot(struct image *image, struct image_packed *packed)
{
	char compression[ZBOOT_COMPRESSION_BYTES + 1] = "";
	int rc;

	if (image->head_bytes < ZBOOT_COMPRESSION + ZBOOT_COMPRESSION_BYTES)
		return image_header_truncated(image, "its EFI zboot");
	memcpy(compression, image->head + ZBOOT_COMPRESSION, ZBOOT_COMPRESSION_BYTES);
	rc = zboot_payload(image, packed);
	if (rc)
		return rc;
	packed->method = image_find_zboot_method(compression);
	if (packed->method) {
		image->wrapper = image_method_zboot_name(packed->method);
		return 0;
	}
	for (char *c = compression; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return fail_msg(ENOTSUP,
			"%s: is an EFI zboot kernel packed with '%s', which kvik cannot unpack",
			image->path, compression);
}

static const struct image_wrapper wrappers[] = {
	{ is_zboot, open_zboot }, // before the formats: it may carry their magic at 0x38
	{ is_packed, open_packed },
};

const struct image_wrapper *image_find_wrapper(const struct image *image)
{
	for (size_t i = 0; i < ARRAY_SIZE(wrappers); i++)
		if (wrappers[i].match(image))
			return &wrappers[i];
	return NULL;
}
