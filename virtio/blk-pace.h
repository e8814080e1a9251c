// SPDX-License-Identifier: GPL-2.0-or-later
// How eager a queue's thread is to run.
#ifndef KVIK_BLK_PACE_H
#define KVIK_BLK_PACE_H

#include <stdbool.h>

// Zero-initialise.
struct blk_pace {
	bool patient;
	unsigned rounds; // since the last decision
	unsigned requests;
};

// After a round that took @requests from the queue. May change how the calling thread is
// scheduled.
void blk_pace_note(struct blk_pace *pace, unsigned requests);

#endif
