// SPDX-License-Identifier: GPL-2.0-or-later
// What clocks have in common: the host's time, and a timer for the next moment at which
// one has to do something.
//
// Registers run on vCPU threads; the timer belongs to the main loop. A register that moves
// the moment posts to the loop, which looks at the registers again and arms the timer for
// what they say by then.
#ifndef KVIK_HW_RTC_ALARM_H
#define KVIK_HW_RTC_ALARM_H

#include <stdint.h>
#include <time.h>

#include "device.h"
#include "loop.h"

#define RTC_ALARM_NEVER UINT64_MAX

struct rtc_alarm {
	struct device *dev;
	// Does what is due, and returns how many nanoseconds later to look again;
	// RTC_ALARM_NEVER: not until it is moved. Loop thread, with the device's lock.
	uint64_t (*check)(struct device *dev);
	struct loop *loop;
	struct loop_timer timer; // loop thread only
	struct loop_post moved;
};

void rtc_alarm_init(struct rtc_alarm *alarm, struct device *dev, struct loop *main_loop,
		    uint64_t (*check)(struct device *dev));
// The next moment may be another one now. Any thread.
void rtc_alarm_moved(struct rtc_alarm *alarm);
// There is none. Loop thread, or while the loop does not run.
void rtc_alarm_reset(struct rtc_alarm *alarm);
void rtc_alarm_exit(struct rtc_alarm *alarm);

// Nanoseconds since 1970.
static inline uint64_t rtc_time_ns(struct timespec time)
{
	return (uint64_t)time.tv_sec * NSEC_PER_SEC + (uint64_t)time.tv_nsec;
}

static inline struct timespec rtc_host_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now;
}

#endif
