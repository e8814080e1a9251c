// SPDX-License-Identifier: GPL-2.0-or-later
// A qcow2 image as a disk: requests, and what they become.
//
// A request is an operation, made of pieces; each piece is a transfer of the image's file
// or its backing disk, or done at once. Operations on the same clusters exclude each
// other if one of them changes tables; all else goes on side by side.
//
// A piece that wrote new clusters is settled when its data are in the file: refcounts, then
// table entries. Where the rest of a cluster was copied, the data are synced before: else a
// loss of power could take with it what was there.
//
//	            map            transfer             settle
//	submit ---------> piece -------------> written ---------> done()
//	   |  ^                                   |  ^
//	   v  | start_waiting                     v  | one flush for all
//	  waiting                               unsynced
#ifndef KVIK_DISK_QCOW2_DISK_H
#define KVIK_DISK_QCOW2_DISK_H

#include "qcow2.h"

struct qcow2_disk {
	struct disk disk;
	struct qcow2_image image;
	struct disk *file;    // raw
	struct disk *backing; // NULL: none
	char *own_path;       // of what stands on or under it, to be freed
};

struct qcow2_op {
	struct qcow2_queue *queue;
	struct disk_request *request;
	uint64_t first, end; // the guest's clusters
	bool exclusive;      // changes tables
	bool internal;       // part of another one
	unsigned pending;    // pieces, and one while they are being made
	int error;
	uint64_t frees;         // DISK_FLUSH: the image's when it began
	struct qcow2_op *next;  // active or waiting
	struct qcow2_op **link; // active
};

struct qcow2_piece {
	struct disk_request child;
	struct qcow2_op *op;
	struct qcow2_piece *next;
	// New clusters: where the guest sees them, and where they are.
	uint64_t cluster;
	struct qcow2_run run;
	struct qcow2_reservation reservation;
	uint8_t *bounce; // a whole cluster, where its rest must be filled in
	struct iovec bounce_iov;
	uint64_t from, len;       // bytes of the request that belong there
	struct disk_request fill; // reads what is there now
	struct iovec iov[];
};

struct qcow2_pieces {
	struct qcow2_piece *head, **tail;
};

struct qcow2_queue {
	struct disk_queue queue;
	struct qcow2_disk *disk;
	struct disk_queue *file;
	struct disk_queue *backing;
	struct qcow2_op *active;
	unsigned exclusive; // of the active ones
	struct qcow2_op *waiting, **waiting_tail;
	unsigned in_flight;           // operations, the waiting ones among them
	struct qcow2_pieces written;  // data are in the file
	struct qcow2_pieces unsynced; // wait for a flush
	struct qcow2_pieces syncing;  // which is under way
	struct disk_request sync;
	bool sync_in_flight;
	bool advancing, again;
	uint8_t *unpacked; // the last cluster that was, and its entry
	uint64_t unpacked_entry;
};

static inline struct qcow2_image *qcow2_image_of(const struct qcow2_op *op)
{
	return &op->queue->disk->image;
}

// -- qcow2-io.c --

void qcow2_submit(struct disk_queue *base, struct disk_request *request);
// Moves everything on as far as it goes.
void qcow2_advance(struct qcow2_queue *queue);
// Begins an operation that belongs to another one, in its clusters.
void qcow2_start_internal(struct qcow2_queue *queue, struct disk_request *request);

// A piece of @op: @len bytes from byte @from of its request on. NULL: no memory, and the
// operation has that error.
struct qcow2_piece *qcow2_add_piece(struct qcow2_op *op, uint64_t from, uint64_t len);
// Transfers it to or from @offset of @queue's disk.
void qcow2_transfer(struct qcow2_piece *piece, struct disk_queue *queue, enum disk_op op,
		    uint64_t offset);
void qcow2_end_piece(struct qcow2_piece *piece, int error);
void qcow2_op_failed(struct qcow2_op *op, int error);
void qcow2_append(struct qcow2_pieces *pieces, struct qcow2_piece *piece);

// -- qcow2-write.c --

// Whether the operation, a write, needs new clusters.
bool qcow2_write_allocates(const struct qcow2_op *op);
void qcow2_write(struct qcow2_op *op);
void qcow2_write_zeroes(struct qcow2_op *op);
void qcow2_discard(struct qcow2_op *op);
// Refcounts and entries for what was written.
void qcow2_settle(struct qcow2_queue *queue);

#endif
