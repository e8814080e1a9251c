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
	return image_find_method((struct image_span){ image->data, image->size_bytes });
}

static bool is_packed(const struct image *image)
{
	return find_method(image);
}

// Unpacks into fresh memory; sets image->wrapper.
static int unpack_packed(struct image *image, uint8_t **data, size_t *size_bytes)
{
	const struct image_method *method = find_method(image);
	struct image_span packed = { image->data, image->size_bytes };

	image->wrapper = image_method_name(method);
	return image_unpack(method, image->path, packed, 0, data, size_bytes);
}

static int zboot_payload(const struct image *image, struct image_span *payload)
{
	uint64_t offset = image_le32(image->data + ZBOOT_OFFSET);
	uint64_t size_bytes = image_le32(image->data + ZBOOT_SIZE);

	if (!size_bytes || offset + size_bytes > image->size_bytes)
		return fail_msg(EINVAL,
				"%s: its EFI zboot payload (%llu bytes at %#llx) goes beyond "
				"the file's %zu bytes; is it complete?",
				image->path, (unsigned long long)size_bytes,
				(unsigned long long)offset, image->size_bytes);
	*payload = (struct image_span){ image->data + offset, size_bytes };
	return 0;
}

static int unpack_zboot(struct image *image, uint8_t **data, size_t *size_bytes)
{
	char compression[ZBOOT_COMPRESSION_BYTES + 1] = "";
	const struct image_method *method;
	struct image_span payload;
	int rc;

	if (image->size_bytes < ZBOOT_COMPRESSION + ZBOOT_COMPRESSION_BYTES)
		return fail_msg(EINVAL,
				"%s: its EFI zboot header is cut off after %zu bytes; is the "
				"file complete?",
				image->path, image->size_bytes);
	memcpy(compression, image->data + ZBOOT_COMPRESSION, ZBOOT_COMPRESSION_BYTES);
	rc = zboot_payload(image, &payload);
	if (rc)
		return rc;
	method = image_find_zboot_method(compression);
	if (method) {
		image->wrapper = image_method_zboot_name(method);
		return image_unpack(method, image->path, payload, 0, data, size_bytes);
	}
	for (char *c = compression; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return fail_msg(ENOTSUP,
			"%s: is an EFI zboot kernel packed with '%s', which kvik cannot unpack",
			image->path, compression);
}

static const struct image_wrapper wrappers[] = {
	{ is_zboot, unpack_zboot }, // before the formats: it may carry their magic at 0x38
	{ is_packed, unpack_packed },
};

const struct image_wrapper *image_find_wrapper(const struct image *image)
{
	for (size_t i = 0; i < ARRAY_SIZE(wrappers); i++)
		if (wrappers[i].match(image))
			return &wrappers[i];
	return NULL;
}
