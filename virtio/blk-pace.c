// SPDX-License-Identifier: GPL-2.0-or-later
// How eager a queue's thread is to run.
//
// Where the host has fewer CPUs than work, each notification takes the CPU from the guest
// that makes it, for that one request. A guest that waits for it wants just that; one that
// has more to ask for gets on much better when it may do so first: then there are more to
// start, and to interrupt for, at once. SCHED_BATCH is how a thread says that it does not
// mind. Whether that helps can only be seen by trying, so it is tried now and then, and
// kept as long as requests come several at once.

#include "blk-pace.h"

#include <sched.h>

#define EAGER_ROUNDS 256 // between two trials
#define PATIENT_ROUNDS 8 // how long a trial takes

// A wish.
static void set_policy(int policy)
{
	struct sched_param param = { 0 };

	sched_setscheduler(0, policy, &param);
}

static void change(struct blk_pace *pace, bool patient)
{
	if (patient != pace->patient)
		set_policy(patient ? SCHED_BATCH : SCHED_OTHER);
	*pace = (struct blk_pace){ .patient = patient };
}

void blk_pace_note(struct blk_pace *pace, unsigned requests)
{
	if (!requests)
		return;
	pace->rounds++;
	pace->requests += requests;
	if (!pace->patient && pace->rounds == EAGER_ROUNDS)
		change(pace, true);
	else if (pace->patient && pace->rounds == PATIENT_ROUNDS)
		change(pace, pace->requests >= 2 * pace->rounds);
}
