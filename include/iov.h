// SPDX-License-Identifier: GPL-2.0-or-later
// Working on vectors of buffers (struct iovec).
#ifndef KVIK_IOV_H
#define KVIK_IOV_H

#include <stddef.h>
#include <sys/uio.h>

// Copies between a vector and a buffer, from byte @offset of the vector on;
// returns the number of bytes copied: less than @len where the vector ends.
size_t iov_to_buf(const struct iovec *iov, unsigned count, size_t offset, void *buf, size_t len);
size_t iov_from_buf(const struct iovec *iov, unsigned count, size_t offset, const void *buf,
		    size_t len);
size_t iov_total(const struct iovec *iov, unsigned count);

// Makes @slice, of @slice_max entries, describe bytes [@offset, @offset + @len) of
// the vector; returns its entries, none of them empty. It covers less where the
// vector or @slice_max ends.
unsigned iov_slice(struct iovec *slice, unsigned slice_max, const struct iovec *iov, unsigned count,
		   size_t offset, size_t len);

#endif
